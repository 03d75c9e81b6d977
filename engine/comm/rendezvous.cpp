#include "engine/comm/rendezvous.h"

#include <pmix.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "engine/core/error.h"

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char key[] = "baton.watch";

void check_done(pmix_status_t status, const char* what) {
  if (status != PMIX_SUCCESS) fail_run("mpi: {}: {}", what, PMIx_Error_string(status));
}

pmix_proc_t process(const std::string& run, pmix_rank_t rank) {
  pmix_proc_t found{};
  std::copy_n(run.data(), std::min<size_t>(run.size(), PMIX_MAX_NSLEN), found.nspace);
  found.rank = rank;
  return found;
}

}  // namespace

Rendezvous::Rendezvous() {
  pmix_proc_t mine{};
  check_done(PMIx_Init(&mine, nullptr, 0), "reaching the launcher");
  run_ = mine.nspace;
  rank_ = static_cast<int>(mine.rank);
  const pmix_proc_t all = process(run_, PMIX_RANK_WILDCARD);
  pmix_value_t* size = nullptr;
  check_done(PMIx_Get(&all, PMIX_JOB_SIZE, nullptr, 0, &size), "asking the launcher for the number of ranks");
  size_ = static_cast<int>(size->data.uint32);
  PMIX_VALUE_RELEASE(size);
}

Rendezvous::~Rendezvous() { PMIx_Finalize(nullptr, 0); }

void Rendezvous::publish(const std::string& text) {
  std::string copy = text;
  pmix_value_t value{};
  value.type = PMIX_STRING;
  value.data.string = copy.data();
  check_done(PMIx_Put(PMIX_GLOBAL, key, &value), "telling the launcher where the ranks meet");
  check_done(PMIx_Commit(), "telling the launcher where the ranks meet");
}

// The launcher either waits for the first rank or says at once that it has published nothing.
std::optional<std::string> Rendezvous::from_first(int seconds) {
  const pmix_proc_t first = process(run_, 0);
  pmix_info_t limit{};
  std::strncpy(limit.key, PMIX_TIMEOUT, PMIX_MAX_KEYLEN);
  limit.value.type = PMIX_INT;
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  for (auto now = Clock::now(); now < end; now = Clock::now()) {
    limit.value.data.integer = std::chrono::ceil<std::chrono::seconds>(end - now).count();
    pmix_value_t* found = nullptr;
    const pmix_status_t status = PMIx_Get(&first, key, &limit, 1, &found);
    if (status == PMIX_SUCCESS) {
      const std::string text = found->data.string;
      PMIX_VALUE_RELEASE(found);
      return text;
    }
    if (status != PMIX_ERR_NOT_FOUND && status != PMIX_ERR_TIMEOUT)
      check_done(status, "asking the launcher where the ranks meet");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return std::nullopt;
}

}  // namespace baton

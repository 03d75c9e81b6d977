#include <gtest/gtest.h>

#include <optional>

#include "engine/comm/local.h"
#include "engine/comm/mpi.h"
#include "tests/comm/on_ranks.h"

// The main function of the tests of parallel code, which run on threads or under mpirun.
namespace baton::test {
namespace {

std::optional<MpiSession> session;

}  // namespace

void on_ranks(int ranks, const std::function<void(Group& world)>& body) {
  if (!session) return run_ranks(ranks, {}, body);
  if (ranks > session->world().size()) return;
  const bool takes_part = session->world().rank() < ranks;
  const std::unique_ptr<Group> group = session->world().split(takes_part, "world");
  if (takes_part) body(*group);
  session->world().barrier();
}

}  // namespace baton::test

int main(int argc, char** argv) {
  using namespace baton;
  testing::InitGoogleTest(&argc, argv);
  if (!started_by_mpi()) return RUN_ALL_TESTS();
  test::session.emplace();
  // A failed assertion on one rank must not leave the others waiting for it.
  testing::GTEST_FLAG(throw_on_failure) = true;
  try {
    const int code = RUN_ALL_TESTS();
    if (code != 0) test::session->abort(code);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", test::session->world().rank(), error.what());
    test::session->abort(1);
  }
  test::session.reset();
  return 0;
}

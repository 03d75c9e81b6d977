#include "engine/comm/local.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <numeric>
#include <thread>

#include "engine/comm/local_world.h"
#include "engine/comm/reduce.h"
#include "engine/core/error.h"
#include "engine/core/heartbeat.h"
#include "engine/core/require.h"
#include "engine/core/thread_budget.h"

namespace baton {
namespace local {
namespace {

class LocalGroup : public Group {
 public:
  struct Meeting;  // what the members share
  struct Round;    // a collective under way

  LocalGroup(std::shared_ptr<World> world, std::shared_ptr<Meeting> meeting, int rank, const std::string& name,
             std::shared_ptr<Traffic> traffic);

  std::unique_ptr<Group> split(int color, const std::string& name) override;
  void set_step(int64_t step) override;

 protected:
  Pending start(Call call) override;
  Pending start_send(ConstValues data, int to) override;
  Pending start_receive(Values data, int from) override;

 private:
  using Calls = std::vector<Call>;
  void finish(int64_t number);
  void wait(std::unique_lock<std::mutex>& lock, const std::string& what, const std::function<bool()>& done);
  void do_my_part(Round& round, std::unique_lock<std::mutex>& lock);
  void move_values(const Calls& calls);
  void check_agreement(const Calls& calls) const;

  std::shared_ptr<World> world_;
  std::shared_ptr<Meeting> meeting_;
  int64_t started_ = 0;
};

// Everyone's arguments, then everyone's part of the work, then everyone may go.
struct LocalGroup::Round {
  Calls calls;
  int arrived = 0, working = 0, finished = 0, left = 0;  // ranks
};

struct LocalGroup::Meeting {
  std::vector<int> members;  // ranks of the world
  std::map<int64_t, Round> rounds;
  std::map<std::pair<int, int>, std::deque<std::vector<char>>> mail;  // (from, to)

  Round& round(int64_t number) {
    Round& round = rounds[number];
    round.calls.resize(members.size());
    return round;
  }
};

LocalGroup::LocalGroup(std::shared_ptr<World> world, std::shared_ptr<Meeting> meeting, int rank,
                       const std::string& name, std::shared_ptr<Traffic> traffic)
    : Group(rank, static_cast<int>(meeting->members.size()), name, std::move(traffic)),
      world_(std::move(world)),
      meeting_(std::move(meeting)) {}

void LocalGroup::set_step(int64_t step) { world_->set_step(meeting_->members[rank()], step); }

std::unique_ptr<Group> LocalGroup::split(int color, const std::string& name) {
  std::vector<int64_t> colors(size());
  const std::vector<int64_t> ones(size(), 1);
  int64_t mine = color;
  all_gather(values(std::span(&mine, 1)), values(std::span(colors)), ones).wait();
  std::vector<int> members;
  int my_rank = 0;
  for (int r = 0; r < size(); ++r) {
    if (r == rank()) my_rank = static_cast<int>(members.size());
    if (colors[r] == color) members.push_back(meeting_->members[r]);
  }
  const std::string key = fmt::format("{} {} {}", static_cast<const void*>(meeting_.get()), started_, color);
  const auto meeting = world_->open(key, [&] {
    auto made = std::make_shared<Meeting>();
    made->members = members;
    return made;
  });
  return std::make_unique<LocalGroup>(world_, std::static_pointer_cast<Meeting>(meeting), my_rank, name,
                                      shared_traffic());
}

void LocalGroup::wait(std::unique_lock<std::mutex>& lock, const std::string& what, const std::function<bool()>& done) {
  world_->wait(lock, meeting_->members[rank()], fmt::format("{} of group {}", what, name()), done);
}

Pending LocalGroup::start(Call call) {
  const std::lock_guard lock(world_->mutex());
  const int64_t number = started_++;
  Round& round = meeting_->round(number);
  round.calls[rank()] = std::move(call);
  ++round.arrived;
  world_->notify();
  return Pending([this, number] { finish(number); });
}

void LocalGroup::finish(int64_t number) {
  std::unique_lock lock(world_->mutex());
  Round& round = meeting_->round(number);
  const auto wait_for_all = [&](const int& ranks) {
    wait(lock, std::string(name_of(round.calls[rank()].kind)), [&] { return ranks == size(); });
  };
  try {
    wait_for_all(round.arrived);
    check_agreement(round.calls);
    do_my_part(round, lock);
    ++round.finished;
    wait_for_all(round.finished);
  } catch (...) {
    // Nobody may let go of its buffers while another rank is at them; and none that is not yet may begin.
    --round.arrived;
    world_->wait_anyway(lock, [&] { return round.working == 0; });
    throw;
  }
  if (++round.left == size()) meeting_->rounds.erase(number);
}

// All ranks at the same time.
void LocalGroup::do_my_part(Round& round, std::unique_lock<std::mutex>& lock) {
  ++round.working;
  lock.unlock();
  std::exception_ptr failure;
  try {
    move_values(round.calls);
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  --round.working;
  world_->notify();
  if (failure) std::rethrow_exception(failure);
}

void LocalGroup::check_agreement(const Calls& calls) const {
  for (int r = 1; r < size(); ++r)
    if (calls[r].kind != calls[0].kind || calls[r].out.dtype != calls[0].out.dtype ||
        (calls[r].kind == Kind::all_reduce && calls[r].out.count != calls[0].out.count))
      fail_run("group {}: rank 0 calls {} of {} values, rank {} calls {} of {}", name(), name_of(calls[0].kind),
               calls[0].out.count, r, name_of(calls[r].kind), calls[r].out.count);
}

int64_t before(const std::vector<int64_t>& counts, int rank) {
  return std::accumulate(counts.begin(), counts.begin() + rank, int64_t{0});
}

void copy_values(ConstValues from, Values to) {
  if (from.count > 0 && from.data != to.data) std::memcpy(to.data, from.data, from.bytes());
}

// Each rank reads the others' buffers and writes its own; in an all-reduce it adds up one share of the values and hands
// the sums to everyone.
void LocalGroup::move_values(const Calls& calls) {
  const Call& mine = calls[rank()];
  std::vector<ConstValues> sources;
  switch (mine.kind) {
    case Kind::all_reduce: {
      const int64_t first = mine.out.count * rank() / size(), end = mine.out.count * (rank() + 1) / size();
      for (const Call& call : calls) sources.push_back(call.out.part(first, end - first));
      const Values sum = mine.in.part(first, end - first);
      reduce_values(sources, sum, mine.reduction);
      for (int r = 0; r < size(); ++r)
        if (r != rank()) copy_values(sum, calls[r].in.part(first, end - first));
      return;
    }
    case Kind::all_gather:
      for (int r = 0; r < size(); ++r)
        copy_values(calls[r].out, mine.in.part(before(mine.receive_counts, r), calls[r].out.count));
      return;
    case Kind::reduce_scatter:
      for (const Call& call : calls) sources.push_back(call.out.part(before(mine.send_counts, rank()), mine.in.count));
      return reduce_values(sources, mine.in, mine.reduction);
    case Kind::all_to_all:
      for (int r = 0; r < size(); ++r)
        copy_values(calls[r].out.part(before(calls[r].send_counts, rank()), calls[r].send_counts[rank()]),
                    mine.in.part(before(mine.receive_counts, r), mine.receive_counts[r]));
      return;
    case Kind::broadcast:
      if (rank() != mine.root) copy_values(calls[mine.root].out, mine.in);
      return;
    case Kind::barrier:
      return;
  }
}

Pending LocalGroup::start_send(ConstValues data, int to) {
  const auto* bytes = static_cast<const char*>(data.data);
  const std::lock_guard lock(world_->mutex());
  meeting_->mail[{rank(), to}].emplace_back(bytes, bytes + data.bytes());
  world_->notify();
  return {};
}

Pending LocalGroup::start_receive(Values data, int from) {
  return Pending([this, data, from] {
    std::unique_lock lock(world_->mutex());
    auto& box = meeting_->mail[{from, rank()}];
    wait(lock, fmt::format("a message from rank {}", from), [&] { return !box.empty(); });
    const std::vector<char> message = std::move(box.front());
    box.pop_front();
    lock.unlock();
    if (std::ssize(message) != data.bytes())
      fail_run("group {}: rank {} sent {} bytes, rank {} expects {}", name(), from, message.size(), rank(),
               data.bytes());
    std::ranges::copy(message, static_cast<char*>(data.data));
  });
}

}  // namespace
}  // namespace local

namespace {

// What outlives run_ranks() when a rank hangs.
struct Run : std::enable_shared_from_this<Run> {
  std::shared_ptr<local::World> world;
  std::shared_ptr<local::LocalGroup::Meeting> meeting = std::make_shared<local::LocalGroup::Meeting>();
  std::function<void(Group&)> body;
  LocalOptions options;
  std::mutex mutex;
  std::exception_ptr error;  // the first

  Run(int ranks, const LocalOptions& options, const std::function<void(Group&)>& body)
      : world(std::make_shared<local::World>(ranks)), body(body), options(options) {
    meeting->members.resize(ranks);
    std::iota(meeting->members.begin(), meeting->members.end(), 0);
  }

  // Where the system gives no thread, the ranks that started are told.
  void start(int rank, std::vector<std::thread>& threads) {
    try {
      const ThreadBudget budget = options.threads;
      threads.emplace_back(budget.bound([run = shared_from_this(), rank] { run->be_thread(rank); }));
    } catch (const std::exception& failure) {
      stop(rank, failure.what());
      world->end(rank);
    }
  }

  void be(int rank) {
    local::LocalGroup group(world, meeting, rank, "world", std::make_shared<Traffic>());
    body(group);
  }

  void be_thread(int rank) {
    heartbeat = &world->beats(rank);
    try {
      be(rank);
    } catch (const std::exception& failure) {
      stop(rank, failure.what());
    } catch (...) {
      stop(rank, "unknown exception");
    }
    world->end(rank);
  }

  // Nothing may leave the thread, not even where there is no memory for the message.
  void stop(int rank, const char* why) noexcept {
    const std::lock_guard lock(mutex);
    if (!error) error = std::current_exception();
    try {
      world->give_up(fmt::format("{} stopped: {}", world->describe(rank), why));
    } catch (const std::bad_alloc&) {
      world->give_up("no memory");  // short enough to need none
    }
  }
};

}  // namespace

void run_ranks(int ranks, const LocalOptions& options, const std::function<void(Group& world)>& body) {
  require(ranks >= 1, "ranks: {}, expected at least 1", ranks);
  const auto run = std::make_shared<Run>(ranks, options, body);
  if (ranks == 1) return run->be(0);
  std::vector<std::thread> threads;
  threads.reserve(ranks);
  for (int rank = 0; rank < ranks; ++rank) run->start(rank, threads);
  const std::vector<int> lost = run->world->watch(options.patience, 1);
  if (!lost.empty()) {
    for (std::thread& thread : threads) thread.detach();
    throw LostRank(run->world->reason());
  }
  for (std::thread& thread : threads) thread.join();
  if (run->error) std::rethrow_exception(run->error);
}

}  // namespace baton

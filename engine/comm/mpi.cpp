#include "engine/comm/mpi.h"

#include <mpi.h>

#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <thread>

#include "engine/comm/rendezvous.h"
#include "engine/comm/watch.h"
#include "engine/core/error.h"
#include "engine/core/heartbeat.h"

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;

void expect_success(int result, const char* what) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(result, text, &length);
  fail_run("{}: {}", what, std::string_view(text, length));
}

MPI_Datatype type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return MPI_FLOAT;
    case DType::f64:
      return MPI_DOUBLE;
    case DType::i32:
      return MPI_INT32_T;
    case DType::i64:
      return MPI_INT64_T;
    case DType::bf16:
    case DType::f16:
      return MPI_UINT16_T;
    case DType::u8:
      return MPI_UINT8_T;
  }
  return MPI_DATATYPE_NULL;
}

int to_int(int64_t count) {
  if (count > INT_MAX) fail_run("mpi: a message of {} values, at most {} are possible", count, INT_MAX);
  return static_cast<int>(count);
}

// Counts of each rank and where its part begins, as MPI wants them.
struct Parts {
  std::vector<int> counts, starts;
  explicit Parts(const std::vector<int64_t>& of_ranks) {
    int64_t start = 0;
    for (int64_t count : of_ranks) {
      counts.push_back(to_int(count));
      starts.push_back(to_int(start));
      start += count;
    }
  }
};

void widen(ConstValues from, float* to) {
  for (int64_t i = 0; i < from.count; ++i) to[i] = bf16_to_f32(static_cast<const uint16_t*>(from.data)[i]);
}
void narrow(const float* from, Values to) {
  for (int64_t i = 0; i < to.count; ++i) static_cast<uint16_t*>(to.data)[i] = f32_to_bf16(from[i]);
}

// Of this process, while it is watched.
Watch::Life* life = nullptr;

// The cores may have fewer threads to give than there are ranks, so waiting must not burn them. `bytes`: that travel,
// on a network of at least 10 MB/s.
void wait_for(MPI_Request request, int64_t bytes) {
  const auto start = Clock::now();
  const auto travel = std::chrono::duration<double>(static_cast<double>(bytes) / 10e6);
  int done = 0;
  for (int tries = 0; !done; ++tries) {
    expect_success(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "mpi: waiting");
    if (done || tries <= 100) continue;
    if (life) ++life->beats, life->waiting = Clock::now() - start > travel;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  if (!life) return;
  life->waiting = false;
  ++life->waits;
}

class MpiGroup : public Group {
 public:
  MpiGroup(MPI_Comm comm, const std::string& name, std::shared_ptr<Traffic> traffic)
      : Group(rank_in(comm), size_of_comm(comm), name, std::move(traffic)), comm_(comm) {}
  ~MpiGroup() override {
    int ended = 0;
    MPI_Finalized(&ended);
    if (!ended && comm_ != MPI_COMM_WORLD) MPI_Comm_free(&comm_);
  }

  std::unique_ptr<Group> split(int color, const std::string& name) override {
    barrier();  // waits for the others as other collectives do, which MPI's split does not
    MPI_Comm part;
    expect_success(MPI_Comm_split(comm_, color, rank(), &part), "mpi: splitting a group");
    return std::make_unique<MpiGroup>(part, name, shared_traffic());
  }
  void set_step(int64_t step) override {
    if (life) life->step = step;
  }

 protected:
  Pending start(Call call) override {
    const bool adds = call.kind == Kind::all_reduce || call.kind == Kind::reduce_scatter;
    return adds && call.in.dtype == DType::bf16 ? start_widened(std::move(call)) : start_as_given(std::move(call));
  }

  Pending start_send(ConstValues data, int to) override {
    MPI_Request request;
    expect_success(MPI_Isend(data.data, to_int(data.count), type_of(data.dtype), to, 0, comm_, &request), "mpi: send");
    return Pending([request, bytes = data.bytes()] { wait_for(request, bytes); });
  }
  Pending start_receive(Values data, int from) override {
    MPI_Request request;
    expect_success(MPI_Irecv(data.data, to_int(data.count), type_of(data.dtype), from, 0, comm_, &request),
                   "mpi: receive");
    return Pending([request, bytes = data.bytes()] { wait_for(request, bytes); });
  }

 private:
  static int rank_in(MPI_Comm comm) {
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    return rank;
  }
  static int size_of_comm(MPI_Comm comm) {
    int size = 0;
    MPI_Comm_size(comm, &size);
    return size;
  }

  Pending start_as_given(Call call) {
    // MPI reads the lists until the end.
    const auto send = std::make_shared<Parts>(call.send_counts), receive = std::make_shared<Parts>(call.receive_counts);
    const MPI_Datatype type = type_of(call.out.dtype);
    const MPI_Op op = call.reduction == Reduction::sum ? MPI_SUM : MPI_MAX;
    const void* out = call.out.data;
    void* in = call.in.data;
    MPI_Request request;
    int result = MPI_SUCCESS;
    switch (call.kind) {
      case Kind::all_reduce:
        result = MPI_Iallreduce(MPI_IN_PLACE, in, to_int(call.in.count), type, op, comm_, &request);
        break;
      case Kind::all_gather: {
        const bool in_place = out == call.in.part(receive->starts[rank()], call.out.count).data;
        result = MPI_Iallgatherv(in_place ? MPI_IN_PLACE : out, to_int(call.out.count), type, in,
                                 receive->counts.data(), receive->starts.data(), type, comm_, &request);
        break;
      }
      case Kind::reduce_scatter:
        result = MPI_Ireduce_scatter(out, in, send->counts.data(), type, op, comm_, &request);
        break;
      case Kind::all_to_all:
        result = MPI_Ialltoallv(out, send->counts.data(), send->starts.data(), type, in, receive->counts.data(),
                                receive->starts.data(), type, comm_, &request);
        break;
      case Kind::broadcast:
        result = MPI_Ibcast(in, to_int(call.in.count), type, call.root, comm_, &request);
        break;
      case Kind::barrier:
        result = MPI_Ibarrier(comm_, &request);
        break;
    }
    expect_success(result, "mpi: collective");
    const int64_t bytes = call.out.bytes() + call.in.bytes();
    return Pending([request, send, receive, bytes] { wait_for(request, bytes); });
  }

  // bf16 travels as f32 where it is added.
  Pending start_widened(Call call) {
    const auto out = std::make_shared<std::vector<float>>(call.out.count),
               in = std::make_shared<std::vector<float>>(call.in.count);
    widen(call.out, out->data());
    const Values target = call.in;
    const bool in_place = call.kind == Kind::all_reduce;
    call.out = {out->data(), call.out.count, DType::f32};
    call.in = {in_place ? out->data() : in->data(), call.in.count, DType::f32};
    const auto sum = std::make_shared<Pending>(start_as_given(std::move(call)));
    return Pending([sum, out, in, in_place, target] {
      sum->wait();
      narrow(in_place ? out->data() : in->data(), target);
    });
  }

  MPI_Comm comm_;
};

}  // namespace

bool started_by_mpi() {
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  return size && std::atoi(size) > 1;
}

int mpi_rank() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank ? std::atoi(rank) : 0;
}

// In the order in which they start. MPI waits for all ranks while it starts and ends, and is watched in both.
struct MpiSession::Process {
  Rendezvous meeting;
  Watch watch{meeting};
  std::unique_ptr<MpiGroup> world;

  Process() {
    life = &watch.life();
    heartbeat = &life->beats;
    const SlowCall call;
    int provided = 0;
    expect_success(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "mpi: start");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    world = std::make_unique<MpiGroup>(MPI_COMM_WORLD, "world", std::make_shared<Traffic>());
  }
  ~Process() {
    {
      const SlowCall call;
      world.reset();
      MPI_Finalize();
    }
    life = nullptr;
    heartbeat = nullptr;
  }
};

MpiSession::MpiSession() : process_(std::make_unique<Process>()) {}
MpiSession::~MpiSession() = default;

Group& MpiSession::world() { return *process_->world; }

void MpiSession::abort(int code) { process_->watch.end_all(code); }

}  // namespace baton

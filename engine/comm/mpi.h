#pragma once

#include <memory>

#include "engine/comm/group.h"

// Ranks that are processes, on one or many hosts, started by mpirun or srun.
namespace baton {

// Whether this process was started as one of several. A build without MPI refuses to run then.
bool started_by_mpi();
// Its number among them, also before they have met; 0 if there are none.
int mpi_rank();

// MPI from start to end of its use; one a process. Its world dies with it. From its first moment to its last a process
// that dies, stops or hangs is noticed, named, and ends the others (engine/comm/watch.h).
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Group& world();
  // Ends all processes with this exit code. For an error of one rank, which the others would wait for.
  [[noreturn]] void abort(int code);

 private:
  struct Process;
  std::unique_ptr<Process> process_;
};

}  // namespace baton

#pragma once

#include <memory>

#include "engine/comm/group.h"
#include "engine/comm/watch.h"

// Ranks that are processes, on one or many hosts, started by mpirun or srun.
namespace baton {

// Whether this process was started as one of several. A build without MPI refuses to run then.
bool started_by_mpi();

// MPI from start to end of its use; one a process. Its world dies with it.
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Group& world() { return *world_; }
  // From now on a process that dies or hangs is noticed (engine/comm/watch.h), until abort() or the end. Collective.
  void watch(double patience = 3);
  // Ends all processes with this exit code. For an error of one rank, which the others would wait for.
  [[noreturn]] void abort(int code);

 private:
  void end_watch();

  std::unique_ptr<Group> world_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace baton

// Stands in for mpi.cpp where CMake found no MPI.
#include <cstdlib>

#include "engine/comm/mpi.h"
#include "engine/core/error.h"

namespace baton {

bool started_by_mpi() {
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  return size && std::atoi(size) > 1;
}

int mpi_rank() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank ? std::atoi(rank) : 0;
}

struct MpiSession::Process {};
MpiSession::MpiSession() { fail("built without MPI: install libopenmpi-dev and build again, or use --ranks"); }
MpiSession::~MpiSession() = default;
Group& MpiSession::world() { return alone(); }
void MpiSession::abort(int code) { std::_Exit(code); }

}  // namespace baton

#pragma once

#include <functional>

#include "engine/comm/group.h"

namespace baton::test {

// Runs a test body on `ranks` threads, or, in a test program that mpirun started, on the first `ranks` processes. Then
// a body for more ranks than there are is passed over: another run has them.
void on_ranks(int ranks, const std::function<void(Group& world)>& body);

}  // namespace baton::test

#pragma once

#include "engine/comm/group.h"

// What every communicator must do, as test bodies that each rank runs on its own world group: with threads, and again
// with processes.
namespace baton::test {

void check_collectives(Group& world);
void check_splits(Group& world);
void check_traffic(Group& world);

}  // namespace baton::test

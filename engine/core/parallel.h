#pragma once

#include <cstdint>
#include <functional>

namespace baton {

// Calls body(i) for each i in [0, count), in any order, on all CPU threads that the calling one may use. An exception
// ends the loop early and is thrown here.
void for_each_in_parallel(int64_t count, const std::function<void(int64_t)>& body);

}  // namespace baton

#pragma once

#include <filesystem>
#include <optional>

namespace baton::kernels::cpu {

// How many cores' worth of time the control groups of this process allow (a container's limit), rounded up: the
// smallest cpu.max (version 2) or cpu.cfs_quota_us (version 1) from its group to the root. Nothing where none is set.
// `groups` says which group it is in, `root` is where they are mounted.
std::optional<int> cpu_quota(const std::filesystem::path& groups = "/proc/self/cgroup",
                             const std::filesystem::path& root = "/sys/fs/cgroup");

}  // namespace baton::kernels::cpu

#include "kernels/cpu/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace baton::kernels::cpu {
namespace {

using Path = std::filesystem::path;

// "max" and "-1", which mean none, are no positive number.
std::optional<int> cores(double quota, double period) {
  if (!(quota > 0 && period > 0)) return std::nullopt;
  return static_cast<int>(std::clamp((quota + period - 1) / period, 1.0, 1e6));
}

std::optional<int> quota_of(const Path& group) {
  double quota = 0, period = 0;
  if (std::ifstream(group / "cpu.max") >> quota >> period) return cores(quota, period);
  std::ifstream(group / "cpu.cfs_quota_us") >> quota;
  std::ifstream(group / "cpu.cfs_period_us") >> period;
  return cores(quota, period);
}

// Where the controller of time may be mounted, and the path of this process's group below. Lines are "0::/path" or
// "3:cpu,cpuacct:/path".
void add_mounts(const std::string& line, const Path& root, std::vector<std::pair<Path, Path>>& found) {
  const size_t first = line.find(':'), second = line.find(':', first + 1);
  if (first == line.npos || second == line.npos) return;
  const std::string controllers = line.substr(first + 1, second - first - 1);
  const Path group = Path(line.substr(second + 1)).relative_path();
  if (controllers.empty()) {
    found.emplace_back(root, group);
    found.emplace_back(root / "unified", group);
  } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
    found.emplace_back(root / controllers, group);
    found.emplace_back(root / "cpu", group);
  }
}

}  // namespace

std::optional<int> cpu_quota(const Path& groups, const Path& root) {
  std::vector<std::pair<Path, Path>> mounts;
  std::ifstream lines(groups);
  for (std::string line; std::getline(lines, line);) add_mounts(line, root, mounts);
  std::optional<int> smallest;
  for (auto& [mount, group] : mounts)
    for (;; group = group.parent_path()) {  // inside a container the group's own path may not be visible
      if (const auto here = quota_of(mount / group); here && (!smallest || *here < *smallest)) smallest = here;
      if (group.empty()) break;
    }
  return smallest;
}

}  // namespace baton::kernels::cpu

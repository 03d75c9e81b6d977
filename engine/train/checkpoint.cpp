#include "engine/train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/heartbeat.h"
#include "engine/core/log.h"
#include "engine/io/directory.h"
#include "engine/io/writable.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view prefix = "step-";

struct StepFolder {
  int64_t step;
  Path path;
};

// Checkpoints below `folder` by their names, newest first.
std::vector<StepFolder> list(const Path& folder) {
  std::vector<StepFolder> found;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename();
    int64_t step = 0;
    if (!name.starts_with(prefix) || !entry.is_directory()) continue;
    const char* end = name.data() + name.size();
    if (const auto parsed = std::from_chars(name.data() + prefix.size(), end, step);
        parsed.ec == std::errc() && parsed.ptr == end)
      found.push_back({step, entry.path()});
  }
  std::ranges::sort(found, std::greater(), &StepFolder::step);
  return found;
}

// An old checkpoint first loses its name: killed while it is removed, it does not stand there as half a checkpoint.
void retire(const Path& checkpoint) {
  std::error_code error;
  fs::rename(checkpoint, checkpoint.parent_path() / fmt::format(".{}.old", checkpoint.filename().string()), error);
  if (error) spdlog::warn("{}: this old checkpoint cannot be removed: {}", checkpoint.string(), error.message());
}

// What stands where a checkpoint goes and is none, as its manifest is lost, makes room for it.
void set_aside(const Path& target) {
  std::error_code error;
  if (!fs::exists(target, error) || fs::exists(target / "manifest.json", error)) return;
  fs::rename(target, target.string() + ".damaged", error);
  if (!error)
    spdlog::warn("{}: this damaged checkpoint is now {}.damaged", target.string(), target.filename().string());
}

// Also removes what a killed run left in the making. What resists (an open file on NFS) stays for the next time.
void remove_retired(const Path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with(fmt::format(".{}", prefix))) fs::remove_all(entry.path(), error);
}

}  // namespace

std::string Checkpoints::name(int64_t step) { return fmt::format("{}{:08}", prefix, step); }

Checkpoints::Checkpoints(Path folder, int64_t keep, int64_t keep_every, Group& ranks)
    : folder_(std::move(folder)), keep_(keep), keep_every_(keep_every), ranks_(ranks) {}

Path Checkpoints::save(int64_t step, const std::function<void(const Path&)>& write) {
  const Path target = folder_ / name(step);
  std::optional<AtomicDirectory> directory;
  if (ranks_.rank() == 0) {
    make_folder(folder_);
    set_aside(target);
    directory.emplace(target);
  }
  write(from_first(directory ? directory->path().string() : "", ranks_));
  ranks_.barrier();
  if (directory) {
    directory->commit();
    const SlowCall call;
    const std::vector<StepFolder> all = list(folder_);
    for (size_t i = keep_; i < all.size(); ++i)
      if (keep_every_ == 0 || all[i].step % keep_every_ != 0) retire(all[i].path);
    remove_retired(folder_);
  }
  ranks_.barrier();
  return target;
}

std::optional<Path> Checkpoints::latest() const {
  std::string found;
  if (ranks_.rank() == 0) found = find_latest().value_or("").string();
  found = from_first(found, ranks_);
  if (found.empty()) return std::nullopt;
  return found;
}

std::optional<Path> Checkpoints::find_latest() const {
  remove_retired(folder_);
  const std::vector<StepFolder> all = list(folder_);
  for (const auto& [step, path] : all) {
    try {
      check_manifest(path);
      return path;
    } catch (const InputError& error) {
      spdlog::warn("{}; trying the checkpoint before it", error.what());
    }
  }
  check(all.empty(), "{}: none of the {} checkpoints is intact; move them away to start anew", folder_.string(),
        all.size());
  return std::nullopt;
}

}  // namespace baton

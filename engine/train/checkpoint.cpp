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

// Folders of others, and what cannot be looked at, are no checkpoints. One that lost its manifest is.
bool is_checkpoint(const Path& path) {
  std::error_code none;
  return fs::is_directory(path, none) &&
         (fs::exists(path / "manifest.json", none) || fs::exists(path / "state.json", none));
}

// Checkpoints below `folder`, damaged ones included, newest first.
std::vector<StepFolder> list(const Path& folder) {
  std::vector<StepFolder> found;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename();
    int64_t step = 0;
    if (!name.starts_with(prefix)) continue;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
    if (step >= 0 && name == Checkpoints::name(step) && is_checkpoint(entry.path()))
      found.push_back({step, entry.path()});
  }
  std::ranges::sort(found, std::greater(), &StepFolder::step);
  return found;
}

// As far as the sizes of its files tell.
bool is_intact(const Path& checkpoint) try {
  check_manifest(checkpoint, false);
  return true;
} catch (const InputError&) {
  return false;
}

// An old checkpoint first loses its name: killed while it is removed, it does not stand there as half a checkpoint.
void retire(const Path& checkpoint) {
  std::error_code error;
  fs::rename(checkpoint, checkpoint.parent_path() / fmt::format(".{}.old", checkpoint.filename().string()), error);
  if (error) spdlog::warn("{}: this old checkpoint cannot be removed: {}", checkpoint.string(), error.message());
}

// What is no intact checkpoint makes room for one, under a name that is free. Nothing of it is lost.
void set_aside(const Path& path) {
  std::error_code error;
  Path aside = path.string() + ".damaged";
  for (int n = 2; fs::exists(fs::symlink_status(aside, error)); ++n)
    aside = fmt::format("{}.damaged-{}", path.string(), n);
  fs::rename(path, aside, error);
  if (error)
    spdlog::warn("{}: no intact checkpoint, and cannot be renamed to {}: {}", path.string(), aside.filename().string(),
                 error.message());
  else
    spdlog::warn("{}: no intact checkpoint; it is now {}", path.string(), aside.filename().string());
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
    std::error_code none;
    if (fs::exists(fs::symlink_status(target, none)) && !is_intact(target)) set_aside(target);
    directory.emplace(target);
  }
  write(from_first(directory ? directory->path().string() : "", ranks_));
  ranks_.barrier();
  if (directory) {
    directory->commit();
    const SlowCall call;
    retire_before(step);
  }
  ranks_.barrier();
  return target;
}

std::optional<Path> Checkpoints::latest() {
  std::string found;
  if (ranks_.rank() == 0) found = find_latest().value_or("").string();
  found = from_first(found, ranks_);
  if (found.empty()) return std::nullopt;
  return found;
}

void Checkpoints::retire_before(int64_t step) {
  int64_t newest = 1;  // the one of `step`
  for (const auto& [older, path] : list(folder_)) {
    if (older >= step || !is_intact(path) || newest++ < keep_) continue;
    if (path != resumed_ && (keep_every_ == 0 || older % keep_every_ != 0)) retire(path);
  }
  remove_retired(folder_);
}

std::optional<Path> Checkpoints::find_latest() {
  remove_retired(folder_);
  resumed_.reset();
  std::vector<Path> damaged;
  const std::vector<StepFolder> all = list(folder_);
  for (const auto& [step, path] : all) {
    try {
      check_manifest(path, !resumed_);  // of those before the newest intact one, the sizes are enough
      if (!resumed_) resumed_ = path;
    } catch (const InputError& error) {
      spdlog::warn("{}; this checkpoint is passed over", error.what());
      damaged.push_back(path);
    }
  }
  check(all.empty() || resumed_, "{}: none of the {} checkpoints is intact; move them away to start anew",
        folder_.string(), all.size());
  for (const Path& path : damaged) set_aside(path);
  return resumed_;
}

}  // namespace baton

#include "engine/io/directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/heartbeat.h"
#include "engine/io/json.h"
#include "engine/io/partial.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
constexpr const char* manifest_name = "manifest.json";

bool may_replace(const Path& folder) { return fs::is_empty(folder) || fs::exists(folder / manifest_name); }

// {"files": {"transformer/config.json": {"bytes": 812, "xxh3_128": "…"}, …}}
Json make_manifest(const Path& folder) {
  Json files = Json::object();
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    files[entry.path().lexically_relative(folder).generic_string()] = {{"bytes", entry.file_size()},
                                                                       {"xxh3_128", hash_file(entry.path())}};
  }
  return {{"files", files}};
}

void flush_file(const Path& path) {
  partial::Descriptor d{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (d.value < 0 || ::fsync(d.value) != 0) partial::fail_system(path, "flushing", errno);
}

void flush_tree(const Path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) flush_file(entry.path());
  flush_file(folder);
}

}  // namespace

AtomicDirectory::AtomicDirectory(const Path& target)
    : target_(partial::resolve(target)), partial_(partial::partial_name(target_)) {
  std::error_code none;
  if (fs::exists(target_, none)) {
    check(fs::is_directory(target_), "{}: exists and is not a folder", target.string());
    check(may_replace(target_), "{}: holds files that were not written by baton ({} is missing); choose another folder",
          target.string(), manifest_name);
  }
  partial::Descriptor opened{partial::open_folder(target_, partial_)};
  for (const auto& left : fs::directory_iterator(partial_)) fs::remove_all(left.path());  // of a writer that was killed
  descriptor_ = opened.release();
}

AtomicDirectory::~AtomicDirectory() {
  if (descriptor_ < 0) return;
  std::error_code none;
  if (partial::is_named(partial_, descriptor_)) fs::remove_all(partial_, none);
  ::close(descriptor_);
}

void AtomicDirectory::commit() try {
  write_json(partial_ / manifest_name, make_manifest(partial_));
  const SlowCall call;
  flush_tree(partial_);
  partial::check_named(target_, partial_, descriptor_);
  if (::rename(partial_.c_str(), target_.c_str()) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST) partial::fail_system(target_, "renaming", errno);
    check(may_replace(target_), "{}: appeared meanwhile with files that were not written by baton", target_.string());
    const partial::Descriptor old{partial::open_folder(target_, target_)};  // locked until it is removed
    if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0)
      partial::fail_system(target_, "replacing the old folder (remove it and run again)", errno);
    std::error_code none;
    fs::remove_all(partial_, none);  // now the old content; what resists goes with the next writer
  }
  ::close(descriptor_);
  descriptor_ = -1;
  partial::flush_folder(partial::parent_of(target_));
} catch (const fs::filesystem_error& e) {
  partial::fail_system(e.path1(), "listing the files", e.code().value());
}

void check_manifest(const Path& folder, bool hashes) {
  JsonReader manifest = JsonReader::file(folder / manifest_name);
  JsonReader files = manifest.object("files");
  for (const std::string& name : files.keys()) {
    const Path relative(name);
    for (const Path& part : relative) check(part != "..", "{}: leads out of the folder", files.where(name));
    check(relative.is_relative() && name.find('\0') == name.npos, "{}: leads out of the folder", files.where(name));
    JsonReader entry = files.object(name);
    const Path path = folder / relative;
    std::error_code none;  // a name that no file can have is missing too
    check(fs::is_regular_file(path, none), "{}: missing, but listed in {}", path.string(), manifest_name);
    const int64_t expected = entry.required<int64_t>("bytes"), found = static_cast<int64_t>(fs::file_size(path));
    check(found == expected, "{}: {} bytes, its manifest says {}: the file is damaged or was changed", path.string(),
          found, expected);
    check(!hashes || hash_file(path) == entry.required<std::string>("xxh3_128"),
          "{}: not the content that its manifest says: the file is damaged or was changed", path.string());
  }
}

}  // namespace baton

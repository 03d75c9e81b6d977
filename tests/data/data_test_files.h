#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/data/dataset.h"

namespace baton {

// A folder of a test's own, removed at its end.
class TestFolder {
 public:
  TestFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ =
        std::filesystem::canonical(testing::TempDir()) / fmt::format("{}.{}", test->test_suite_name(), test->name());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }

  const Path& path() const { return path_; }
  Path operator/(const char* name) const { return path_ / name; }
  void write(const char* name, std::string_view bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    write_file(path_ / name, bytes);
  }
  DataConfig config() const { return {.folder = path_.string(), .size = 8}; }

 private:
  Path path_;
};

template <typename E = InputError>
std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const E& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace baton

#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/core/error.h"
#include "engine/core/log.h"

// What the tests of this folder share: a folder of their own that goes away, and exact checks of error messages.
namespace baton::test {

class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "baton_test_XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Scratch() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  // Writes without the care of AtomicFile: tests make broken files with it.
  std::filesystem::path put(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }
  size_t entries() const { return std::distance(std::filesystem::directory_iterator(path_), {}); }

 private:
  std::filesystem::path path_;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The message of the E that `body` throws; a failed test when it throws none.
template <typename E = InputError, typename Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

// What `body` warns of.
template <typename Body>
std::string warnings_of(Body&& body) {
  testing::internal::CaptureStdout();  // where the log goes as long as no program has set it up
  try {
    body();
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  spdlog::default_logger()->flush();
  return testing::internal::GetCapturedStdout();
}

// EXPECT_REFUSED(expression, "part of the message")
#define EXPECT_REFUSED(expression, part) \
  EXPECT_THAT(::baton::test::error_of([&] { (void)(expression); }), ::testing::HasSubstr(part))

}  // namespace baton::test

#include "tests/test_dir.h"

namespace baton {

std::filesystem::path test_dir() { return BATON_TEST_DIR; }

}  // namespace baton

#include "engine/io/safetensors.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

namespace {

void read_header(std::string_view file) {
  const auto header = baton::parse_safetensors_header(file, "fuzz");
  for (const auto& [name, entry] : header.tensors) {
    baton::fuzz::require(entry.begin >= 0 && entry.begin <= entry.end);
    baton::fuzz::require(header.data + entry.end <= static_cast<int64_t>(file.size()));
  }
}

// Every tensor, element by element.
void read_tensors(const baton::Path& path) {
  const baton::SafetensorsFile file(path);
  for (const std::string& name : file.names()) try {
      const baton::Tensor tensor = file.tensor(name);
      baton::fuzz::require(tensor.bytes() == file.header().tensors.find(name)->second.end -
                                                 file.header().tensors.find(name)->second.begin);
      if (baton::is_floating(tensor.dtype())) baton::fuzz::require(std::ssize(tensor.to_vector()) == tensor.numel());
    } catch (const baton::InputError&) {  // a type or a number of dimensions that we have no code for
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const baton::fuzz::Folder folder;
  const auto input = baton::fuzz::text_of(data, size);
  // The header, after eight bytes that say its length, stretched as text; the whole file as it is.
  if (size > 8) {
    const std::string text = baton::fuzz::stretched(input.substr(8));
    const uint64_t length = text.size() - (size - 8) + std::min<uint64_t>(size - 8, data[0] | data[1] << 8);
    std::string file(reinterpret_cast<const char*>(&length), sizeof length);
    file += text;
    baton::fuzz::run(file.size(), [&] { read_header(file); });
  }
  const auto path = folder.put("a.safetensors", input);
  return baton::fuzz::run(size, [&] { read_tensors(path); });
}

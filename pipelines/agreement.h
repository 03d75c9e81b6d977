#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/comm/group.h"
#include "engine/config/yaml.h"

// What ranks must have alike, lest they train or draw something that nobody asked for: keys with their values.
namespace baton {

using Terms = std::vector<std::pair<std::string, std::string>>;

// The fields of a config without those that may differ from host to host: how much of a host to use, and paths that are
// only read, for which the caller adds what is found there.
Terms config_terms(const VisitFields& fields, std::span<const std::string_view> may_differ);

// Collective. InputError, on all ranks, if they differ: "ranks 0 and 1 have different configs: seed is 1 and 2".
void check_agreement(const char* what, const Terms& mine, Group& ranks);

// Names what is in a folder of a model or a tokenizer, wherever it lies.
std::string hash_folder(const Path& folder);

}  // namespace baton

#pragma once

#include "engine/io/file.h"

namespace baton {

// InputError unless this model drew the picture (by the hash that the picture stores), naming both. Pictures of 0.1,
// which name no version, may name a model by the hash of its manifest.
void check_drawn_by(const Path& picture, const Path& model);

}  // namespace baton

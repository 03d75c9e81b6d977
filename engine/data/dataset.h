#pragma once

#include <string>
#include <vector>

#include "engine/config/train_config.h"
#include "engine/io/file.h"

// What a data set says: which pictures, which captions, how often. Nothing is decoded here (engine/data/pictures.h).
namespace baton {

// One of a picture's captions. With tags, the text is their list in a random order, joined with ", ".
struct Caption {
  std::string text;
  std::vector<std::string> tags;
  double weight = 1;  // chance among the captions of its picture
};

struct DataItem {
  Path picture;
  std::vector<Caption> captions;  // at least one; their weights have a positive sum
  double weight = 1;              // chance among all pictures; 0: never drawn
  std::string where;              // "metadata.jsonl:12", for messages
};

struct Dataset {
  Path folder;
  std::vector<DataItem> items;
  std::vector<std::string> notes;  // what was left out or not understood, and why
};

// `config.folder` is one of
//   a .jsonl file, or a folder with metadata.jsonl: one JSON object a line,
//       file_name | image_path   the picture, relative to the file's folder, or absolute
//       caption | text           its caption
//       captions                 instead: list of {"text" | "tags", "weight"}
//       weight                   of the picture, default 1
//     other keys are kept out of the way and named in `notes`;
//   a .csv file, or a folder with metadata.csv, whose first line names the columns: file_name | image_path,
//     caption | text, weight;
//   a folder of pictures at any depth, in the order of their paths, each with its caption in a text file of the same
//     name (`config.caption_extension`, in small letters or capitals), whose lines are joined.
// Links are followed, to folders as well, each of which is read once; what lies outside is named in `notes`. Hidden
// files, and what file servers put beside pictures (@eaDir), are left out. Throws InputError that lists what is wrong,
// with file and line, and never leaves a picture out without a note.
Dataset open_dataset(const DataConfig& config);
// Names what a data set says of its pictures, in their order: captions and weights.
std::string hash_captions(const Dataset& dataset);

}  // namespace baton

#include "engine/data/dataset.h"

#include <set>

#include "data_test_files.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Of a list of that name beside the picture a.png.
std::string error_of_list(const char* name, const std::string& text) {
  TestFolder folder;
  folder.write("a.png", "x");
  folder.write(name, text);
  DataConfig config = folder.config();
  config.folder += fmt::format("/{}", name);
  return error_of([&] { open_dataset(config); });
}

// The second one.
std::string error_of_line(const std::string& line) {
  return error_of_list("metadata.jsonl", "{\"file_name\": \"a.png\", \"text\": \"first\"}\n" + line + "\n");
}

TEST(JsonlDataset, ReadsEveryForm) {
  TestFolder folder;
  for (const char* name : {"a.png", "in/b.jpg", "c.png"}) folder.write(name, "x");
  folder.write("metadata.jsonl",
               "\xef\xbb\xbf{\"file_name\": \"a.png\", \"caption\": \"an é\"}\r\n\n"
               "{\"image_path\": \"./in/b.jpg\", \"text\": \"\", \"weight\": 0.25, \"group\": 7}\n"
               "{\"file_name\": \"c.png\", \"caption\": \"not drawn\", \"captions\": [{\"text\": \"c\"}, "
               "{\"tags\": [\"d\", \"e\"], \"weight\": 3}]}");
  const Dataset set = open_dataset(folder.config());
  ASSERT_EQ(set.items.size(), 3);
  EXPECT_EQ(set.items[0].picture, folder / "a.png");
  EXPECT_EQ(set.items[0].captions[0].text, "an é");
  EXPECT_EQ(set.items[0].weight, 1);
  EXPECT_EQ(set.items[1].picture, folder / "in/b.jpg");
  EXPECT_EQ(set.items[1].weight, 0.25);
  EXPECT_EQ(set.items[1].captions[0].text, "");
  EXPECT_EQ(set.items[1].where, "metadata.jsonl:3");
  ASSERT_EQ(set.items[2].captions.size(), 2);
  EXPECT_EQ(set.items[2].captions[0].text, "c");
  EXPECT_THAT(set.items[2].captions[1].tags, ElementsAre("d", "e"));
  EXPECT_EQ(set.items[2].captions[1].weight, 3);
  EXPECT_THAT(set.notes, ElementsAre("key 'group' on 1 lines: not used"));
}

TEST(JsonlDataset, IsFoundUnderItsOwnName) {
  TestFolder folder;
  folder.write("a.png", "x");
  folder.write("mine.jsonl", "{\"file_name\": \"a.png\", \"text\": \"t\"}");
  DataConfig config = folder.config();
  config.folder += "/mine.jsonl";
  EXPECT_EQ(open_dataset(config).items.size(), 1);
  config.folder += "x";
  EXPECT_THAT(error_of([&] { open_dataset(config); }), HasSubstr("No such file"));
}

TEST(JsonlDataset, NamesTheLine) {
  EXPECT_THAT(error_of_line("{\"file_name\": \"a.png\""), HasSubstr("metadata.jsonl:2"));
  EXPECT_THAT(error_of_line("[]"), HasSubstr("metadata.jsonl:2"));
  EXPECT_THAT(error_of_line("{\"text\": \"t\"}"), HasSubstr("metadata.jsonl:2: neither file_name nor image_path"));
  EXPECT_THAT(error_of_line("{\"file_name\": 3}"), HasSubstr("metadata.jsonl:2: file_name"));
  EXPECT_THAT(error_of_line("{\"file_name\": \"a.png\", \"image_path\": \"a.png\"}"), HasSubstr("which of them"));
  EXPECT_THAT(error_of_line("{\"file_name\": \"a.png\"}"), HasSubstr("metadata.jsonl:2: no caption"));
  EXPECT_THAT(error_of_line("{\"file_name\": \"b.png\", \"text\": \"t\"}"), HasSubstr("No such file"));
  const std::string start = "{\"file_name\": \"a.png\", ";
  EXPECT_THAT(error_of_line(start + "\"text\": [1]}"), HasSubstr("metadata.jsonl:2: text"));
  EXPECT_THAT(error_of_line(start + "\"text\": \"t\", \"weight\": -1}"), HasSubstr("expected a number from 0"));
  EXPECT_THAT(error_of_line(start + "\"text\": \"t\", \"weight\": 1e999}"), HasSubstr("metadata.jsonl:2"));
  EXPECT_THAT(error_of_line(start + "\"captions\": [{\"txt\": \"t\"}]}"), HasSubstr("either text or tags"));
  EXPECT_THAT(error_of_line(start + "\"captions\": [{\"tags\": []}]}"), HasSubstr("0 tags"));
  EXPECT_THAT(error_of_line(start + "\"captions\": [{\"text\": \"t\", \"wieght\": 1}]}"), HasSubstr("weight"));
  EXPECT_THAT(error_of_line(start + "\"captions\": [{\"text\": \"t\", \"weight\": 0}]}"), HasSubstr("add up to 0"));
  EXPECT_THAT(error_of_line(start + "\"text\": \"" + std::string(70'000, 'a') + "\"}"), HasSubstr("70000 bytes"));
  EXPECT_THAT(error_of_line(start + "\"text\": \"\xff\"}"), HasSubstr("metadata.jsonl:2"));
}

TEST(JsonlDataset, StaysInsideItsFolder) {
  for (const char* name : {"/etc/passwd", "../a.png", "in/../../a.png", "", "."})
    EXPECT_THAT(error_of_line(fmt::format("{{\"file_name\": \"{}\", \"text\": \"t\"}}", name)),
                HasSubstr("metadata.jsonl:2"))
        << name;
  TestFolder folder;
  std::filesystem::create_symlink("/etc/passwd", folder / "a.png");
  std::filesystem::create_directory_symlink("/etc", folder / "b");
  folder.write("metadata.jsonl",
               "{\"file_name\": \"a.png\", \"text\": \"t\"}\n{\"file_name\": \"b/passwd\", \"text\": \"t\"}");
  const std::string error = error_of([&] { open_dataset(folder.config()); });
  EXPECT_THAT(error, HasSubstr("2 problems"));
  EXPECT_THAT(error, HasSubstr("metadata.jsonl:1: 'a.png' leads out"));
  EXPECT_THAT(error, HasSubstr("metadata.jsonl:2: 'b/passwd' leads out"));
}

constexpr std::string_view png_start("\x89PNG\r\n\x1a\n and more", 17);

// kohya's musubi-tuner documents absolute paths for its lists; pictures elsewhere must begin as pictures do.
TEST(JsonlDataset, ReadsAbsolutePathsOfPictures) {
  TestFolder folder;
  folder.write("set/a.png", "x");
  folder.write("elsewhere/b.png", png_start);
  folder.write(
      "set/metadata.jsonl",
      fmt::format("{{\"image_path\": \"{}\", \"caption\": \"a\"}}\n{{\"image_path\": \"{}\", \"caption\": \"b\"}}",
                  (folder / "set/a.png").string(), (folder / "elsewhere/b.png").string()));
  DataConfig config = folder.config();
  config.folder += "/set";
  const Dataset set = open_dataset(config);
  ASSERT_EQ(set.items.size(), 2);
  EXPECT_EQ(set.items[0].picture, folder / "set/a.png");
  EXPECT_EQ(set.items[1].picture, folder / "elsewhere/b.png");
  EXPECT_THAT(set.notes, ElementsAre(HasSubstr("1 files lie outside the folder, the first is ")));
}

// Python's json writes these; they are no JSON.
TEST(JsonlDataset, ReadsNumbersThatAreNotFinite) {
  TestFolder folder;
  folder.write("a.png", "x");
  folder.write("metadata.jsonl",
               "{\"file_name\": \"a.png\", \"text\": \"a \\\"NaN\", \"score\": NaN, \"b\": [-Infinity, Infinity]}");
  const Dataset set = open_dataset(folder.config());
  ASSERT_EQ(set.items.size(), 1);
  EXPECT_EQ(set.items[0].captions[0].text, "a \"NaN");
  EXPECT_THAT(error_of_line("{\"file_name\": NaN, \"text\": \"t\"}"), HasSubstr("neither file_name"));
}

TEST(JsonlDataset, FindsNamesWhoseAccentsAreWrittenOtherwise) {
  TestFolder folder;
  folder.write("caf\u00e9.png", "x");   // composed
  folder.write("u\u0308ber.png", "x");  // taken apart, as macOS does
  folder.write(
      "metadata.jsonl",
      "{\"file_name\": \"cafe\u0301.png\", \"text\": \"t\"}\n{\"file_name\": \"\u00fcber.png\", \"text\": \"t\"}");
  EXPECT_EQ(open_dataset(folder.config()).items.size(), 2);
}

TEST(CsvDataset, ReadsWhatSpreadsheetsWrite) {
  TestFolder folder;
  for (const char* name : {"a.png", "b.png", "c d.png", "e.png"}) folder.write(name, "x");
  folder.write(
      "metadata.csv",
      "\xef\xbb\xbf"
      "file_name,text,weight,group\r\na.png,plain,,7\r\n\r\nb.png,\"commas, \"\"quotes\"\"\r\nand lines\",0.5,\r\n"
      "\"c d.png\",\"\",2,\ne.png, é ,1,x");
  DataConfig config = folder.config();
  EXPECT_THAT(error_of([&] { open_dataset(config); }), HasSubstr("metadata.csv:6: no caption"));
  config.missing_caption = MissingCaption::empty;
  const Dataset set = open_dataset(config);
  ASSERT_EQ(set.items.size(), 4);
  EXPECT_EQ(set.items[0].captions[0].text, "plain");
  EXPECT_EQ(set.items[0].weight, 1);
  EXPECT_EQ(set.items[1].captions[0].text, "commas, \"quotes\"\r\nand lines");
  EXPECT_EQ(set.items[1].weight, 0.5);
  EXPECT_EQ(set.items[1].where, "metadata.csv:4");
  EXPECT_EQ(set.items[2].captions[0].text, "");
  EXPECT_EQ(set.items[3].captions[0].text, " é ");
  EXPECT_THAT(set.notes, ElementsAre("key 'group' on 2 lines: not used"));
}

TEST(CsvDataset, SaysWhatIsWrong) {
  const auto wrong = [](const std::string& text) { return error_of_list("mine.csv", text); };
  EXPECT_EQ(wrong("file_name,text\na.png,t\n"), "no error");
  EXPECT_THAT(wrong(""), HasSubstr("no column file_name"));
  EXPECT_THAT(wrong("file_name;text\na.png;t\n"), HasSubstr("values are parted by commas"));
  EXPECT_THAT(wrong("file_name,text\na.png\n"), HasSubstr("mine.csv:2: 1 values under 2 names"));
  EXPECT_THAT(wrong("file_name,text\na.png,\"t\n\n"), HasSubstr("line 2: a quote that is never closed"));
  EXPECT_THAT(wrong("file_name,text\n\nb.png,t\n"), HasSubstr("mine.csv:3: "));
  EXPECT_THAT(wrong("file_name,text,weight\na.png,t,heavy\n"), HasSubstr("weight: expected a number"));
  for (const char* weight : {"1e999", "-1e400", "1e-999"})
    EXPECT_THAT(wrong(fmt::format("file_name,text,weight\na.png,t,{}\n", weight)),
                HasSubstr(fmt::format("mine.csv:2: weight: {} is out of range", weight)));
  for (const char* weight : {"nan", "inf", "-1"})
    EXPECT_THAT(wrong(fmt::format("file_name,text,weight\na.png,t,{}\n", weight)), HasSubstr("weight: "));
  EXPECT_THAT(wrong("file_name,text,text\na.png,t,u\n"), HasSubstr("two columns are named text"));
  EXPECT_THAT(wrong("file_name,file_name,text\na.png,a.png,u\n"), HasSubstr("two columns are named file_name"));
  EXPECT_EQ(wrong("file_name,text,,\na.png,t,,\n"), "no error") << "columns without names, as spreadsheets leave them";
  EXPECT_THAT(wrong("file_name,text\na.png,\xe9\n"), HasSubstr("not UTF-8 text"));
  EXPECT_THAT(wrong("file_name,text\n../a.png,t\n"), HasSubstr("leads out"));
}

TEST(JsonlDataset, ListsAtMostTenProblems) {
  std::string lines;
  for (int i = 0; i < 25; ++i) lines += "{}\n";
  const std::string error = error_of_list("metadata.jsonl", lines);
  EXPECT_THAT(error, HasSubstr("25 problems"));
  EXPECT_THAT(error, HasSubstr("metadata.jsonl:10: "));
  EXPECT_THAT(error, HasSubstr("and 15 more"));
}

TEST(JsonlDataset, RefusesWhatNeverDraws) {
  const auto wrong = [](const std::string& text) { return error_of_list("metadata.jsonl", text); };
  EXPECT_THAT(wrong("{\"file_name\": \"a.png\", \"text\": \"t\", \"weight\": 0}"), HasSubstr("add up to 0"));
  EXPECT_THAT(wrong("\n"), HasSubstr("no pictures"));
}

TEST(FolderDataset, PairsPicturesWithTexts) {
  TestFolder folder;
  folder.write("b.PNG", "x");
  folder.write("b.txt", "  two \r\n\r\nlines\n");
  folder.write("a/c.jpeg", "x");
  folder.write("a/c.txt", "deep");
  folder.write(".hidden/d.png", "x");
  folder.write("readme.md", "x");
  folder.write("lost.txt", "x");
  const Dataset set = open_dataset(folder.config());
  ASSERT_EQ(set.items.size(), 2);
  EXPECT_EQ(set.items[0].picture, folder / "a/c.jpeg");
  EXPECT_EQ(set.items[1].captions[0].text, "two lines");
  EXPECT_THAT(set.notes,
              ElementsAre("1 files or folders of the system left out, the first is .hidden",
                          "1 files '*.md' left out: no pictures", "1 files '*.txt' left out: no picture of that name"));
}

// People choose pictures from an archive by linking them, and keep parts of a set elsewhere.
TEST(FolderDataset, FollowsLinks) {
  TestFolder folder;
  folder.write("archive/0a1b", png_start);
  folder.write("archive/0a1b.caption", "linked");
  folder.write("more/in/b.png", png_start);
  folder.write("more/in/b.txt", "deep");
  folder.write("set/c.png", "x");
  folder.write("set/c.txt", "here");
  std::filesystem::create_symlink("../archive/0a1b", folder / "set/a.png");
  std::filesystem::create_symlink("../archive/0a1b.caption", folder / "set/a.txt");
  std::filesystem::create_directory_symlink("../more", folder / "set/linked");
  std::filesystem::create_directory_symlink("../more/in", folder / "set/again");  // of what the other link has too
  std::filesystem::create_directory_symlink("..", folder / "more/up");
  std::filesystem::create_directory_symlink("loop", folder / "set/loop");
  DataConfig config = folder.config();
  config.folder += "/set";
  config.missing_caption = MissingCaption::skip;
  const Dataset set = open_dataset(config);
  std::vector<std::string> where;
  for (const DataItem& item : set.items) where.push_back(item.where);
  EXPECT_THAT(where, ElementsAre("a.png", "again/b.png", "c.png"));
  EXPECT_EQ(set.items[0].picture, folder / "archive/0a1b");
  EXPECT_EQ(set.items[0].captions[0].text, "linked");
  EXPECT_THAT(set.notes, testing::Contains(HasSubstr("4 files lie outside the folder, the first is a.png (")));
  EXPECT_THAT(set.notes, testing::Contains(HasSubstr("links to folders that are read under another name left out")));
}

TEST(FolderDataset, CaptionsInCapitalsAndAccentsWrittenOtherwise) {
  TestFolder folder;
  folder.write("a.png", "x");
  folder.write("a.TXT", "capitals");
  folder.write("b.png", "x");
  folder.write("b.TXT", "other");
  folder.write("b.txt", "exact");
  folder.write("cafe\u0301.png", "x");
  folder.write("caf\u00e9.txt", "composed");
  const Dataset set = open_dataset(folder.config());
  ASSERT_EQ(set.items.size(), 3);
  EXPECT_EQ(set.items[0].captions[0].text, "capitals");
  EXPECT_EQ(set.items[1].captions[0].text, "exact");
  EXPECT_EQ(set.items[2].captions[0].text, "composed");
}

TEST(FolderDataset, LeavesOutWhatServersAndSystemsKeep) {
  TestFolder folder;
  for (const char* name : {"a.png", "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/._a.png", "._a.png", "in/.b.png"})
    folder.write(name, "x");
  folder.write("a.txt", "t");
  const Dataset set = open_dataset(folder.config());
  EXPECT_EQ(set.items.size(), 1);
  EXPECT_THAT(set.notes, ElementsAre("4 files or folders of the system left out, the first is ._a.png"));
}

TEST(FolderDataset, NamesPicturesOfKindsThatAreNotRead) {
  TestFolder folder;
  for (const char* name : {"b.GIF", "in/a.gif", "c.avif", "d.heic", "e.tiff", "f.jfif"}) folder.write(name, "x");
  for (const char* name : {"b.txt", "e.txt", "f.txt", "lost.txt"}) folder.write(name, "t");
  const Dataset set = open_dataset(folder.config());
  EXPECT_EQ(set.items.size(), 2);  // whose kinds are read
  EXPECT_THAT(
      set.notes,
      ElementsAre("1 AVIF pictures, a kind that is not read (convert them to PNG), left out, the first is c.avif",
                  "2 GIF pictures, a kind that is not read (convert them to PNG), left out, the first is b.GIF",
                  "1 HEIC pictures, a kind that is not read (convert them to PNG), left out, the first is d.heic",
                  "1 files '*.txt' left out: no picture of that name"));
  folder.write("else/a.gif", "x");
  DataConfig config = folder.config();
  config.folder += "/else";
  EXPECT_THAT(error_of([&] { open_dataset(config); }),
              HasSubstr("no pictures in it:\n  1 GIF pictures, a kind that is not read (convert them to PNG)"));
}

TEST(FolderDataset, FollowsTheRuleForMissingCaptions) {
  TestFolder folder;
  folder.write("a.png", "x");
  folder.write("b.png", "x");
  folder.write("b.txt", "b");
  DataConfig config = folder.config();
  EXPECT_THAT(error_of([&] { open_dataset(config); }), HasSubstr("a.png: no caption"));
  config.missing_caption = MissingCaption::empty;
  EXPECT_EQ(open_dataset(config).items[0].captions[0].text, "");
  config.missing_caption = MissingCaption::skip;
  const Dataset set = open_dataset(config);
  EXPECT_EQ(set.items.size(), 1);
  EXPECT_THAT(set.notes, ElementsAre(HasSubstr("1 pictures left out")));
}

TEST(FolderDataset, RefusesTextsUnderAnotherExtension) {
  TestFolder folder;
  folder.write("a.png", "x");
  folder.write("a.caption", "t");
  DataConfig config = folder.config();
  config.missing_caption = MissingCaption::skip;
  EXPECT_THAT(error_of([&] { open_dataset(config); }), HasSubstr("there is one with .caption"));
  config.caption_extension = ".caption";
  EXPECT_EQ(open_dataset(config).items[0].captions[0].text, "t");
}

TEST(FolderDataset, RefusesHostileFiles) {
  TestFolder folder;
  folder.write("a.png", "x");
  folder.write("a.txt", "\xc3(");
  std::filesystem::create_symlink("/etc/passwd", folder / "b.png");
  std::filesystem::create_symlink("b.txt", folder / "c.png");
  folder.write("d.png", "x");
  folder.write("d.txt", std::string(100'000, 'a'));
  const std::string error = error_of([&] { open_dataset(folder.config()); });
  EXPECT_THAT(error, HasSubstr("4 problems"));
  EXPECT_THAT(error, HasSubstr("a.txt: the caption is not UTF-8"));
  EXPECT_THAT(error, HasSubstr("b.png: 'b.png' leads out"));
  EXPECT_THAT(error, HasSubstr("c.png: "));
  EXPECT_THAT(error, HasSubstr("d.txt: the caption has 100000 bytes"));
}

TEST(HashCaptions, NamesTextsAndWeightsWhereverTheyLie) {
  const auto hash = [](const std::string& lines) {
    TestFolder folder;
    for (const char* name : {"a.png", "b.png"}) folder.write(name, "x");
    folder.write("metadata.jsonl", lines);
    return hash_captions(open_dataset(folder.config()));
  };
  const std::string a = R"({"file_name": "a.png", "text": "one"})", b = R"({"file_name": "b.png", "text": "two"})";
  const std::set<std::string> different{
      hash(a),
      hash(a + "\n" + b),
      hash(b + "\n" + a),
      hash(a + "\n" + R"({"file_name": "b.png", "text": "two", "weight": 0.5})"),
      hash(a + "\n" + R"({"file_name": "b.png", "captions": [{"text": "two"}, {"text": "three"}]})"),
      hash(a + "\n" + R"({"file_name": "b.png", "captions": [{"text": "two"}, {"text": "three", "weight": 2}]})"),
      hash(a + "\n" + R"({"file_name": "b.png", "captions": [{"tags": ["two"]}]})")};
  EXPECT_EQ(different.size(), 7);
  EXPECT_EQ(hash(a + "\n" + b), hash(a + "\n" + b));
}

}  // namespace
}  // namespace baton

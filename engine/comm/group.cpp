#include "engine/comm/group.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/require.h"

namespace baton {
namespace {

int64_t sum(Counts counts) { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }

void check_counts(const char* what, const std::string& group, Counts counts, int ranks, int64_t total) {
  require(std::ssize(counts) == ranks && sum(counts) == total &&
              std::ranges::all_of(counts, [](int64_t n) { return n >= 0; }),
          "{} in group {} of {}: counts [{}] for {} values", what, group, ranks, fmt::join(counts, ", "), total);
}

void check_dtype(const char* what, DType a, DType b) {
  require(a == b, "{}: {} and {} values", what, baton::name(a), baton::name(b));
}

void copy(ConstValues from, Values to) {
  if (from.data != to.data && from.count > 0) std::memmove(to.data, from.data, from.bytes());
}

class Alone : public Group {
 public:
  Alone() : Group(0, 1, "alone", std::make_shared<Traffic>()) {}
  std::unique_ptr<Group> split(int, const std::string&) override { return std::make_unique<Alone>(); }
  void set_step(int64_t) override {}

 protected:  // Group does not come here with one rank
  Pending start(Call) override { return {}; }
  Pending start_send(ConstValues, int) override { return {}; }
  Pending start_receive(Values, int) override { return {}; }
};

}  // namespace

Values values(const Tensor& x) {
  require(x.is_contiguous(), "values: a tensor of shape {} and strides {} is not contiguous", x.shape(), x.stride());
  return {x.raw(), x.numel(), x.dtype()};
}

Group& alone() {
  static Alone group;
  return group;
}

Pending& Pending::operator=(Pending&& other) {
  wait();
  finish_ = std::exchange(other.finish_, nullptr);
  return *this;
}

Pending::~Pending() {
  try {
    wait();
  } catch (...) {  // of what was lost whoever waits next hears, and nothing may leave a destructor
  }
}

void Pending::wait() {
  if (finish_) std::exchange(finish_, nullptr)();
}

std::string_view Group::name_of(Kind kind) {
  constexpr std::string_view names[] = {"all-reduce", "all-gather", "reduce-scatter",
                                        "all-to-all", "broadcast",  "barrier"};
  return names[static_cast<int>(kind)];
}

void Group::count(std::string_view kind, double bytes) {
  Traffic::Entry& entry = traffic_->entries[name_][std::string(kind)];
  ++entry.calls;
  entry.bytes += bytes;
}

Pending Group::all_reduce(Values data, Reduction reduction) {
  if (size_ == 1) return {};
  count("all-reduce", 2.0 * static_cast<double>(data.bytes()) * (size_ - 1) / size_);
  return start({.kind = Kind::all_reduce, .out = data, .in = data, .reduction = reduction});
}

Pending Group::all_gather(ConstValues mine, Values all, Counts counts) {
  check_counts("all-gather", name_, counts, size_, all.count);
  check_dtype("all-gather", mine.dtype, all.dtype);
  require(counts[rank_] == mine.count, "all-gather in group {}: {} values of rank {}, counts say {}", name_, mine.count,
          rank_, counts[rank_]);
  if (size_ == 1) return copy(mine, all), Pending();
  count("all-gather", static_cast<double>(mine.bytes()) * (size_ - 1));
  return start({.kind = Kind::all_gather, .out = mine, .in = all, .receive_counts = {counts.begin(), counts.end()}});
}

Pending Group::reduce_scatter(ConstValues all, Values mine, Counts counts) {
  check_counts("reduce-scatter", name_, counts, size_, all.count);
  check_dtype("reduce-scatter", mine.dtype, all.dtype);
  require(counts[rank_] == mine.count, "reduce-scatter in group {}: {} values of rank {}, counts say {}", name_,
          mine.count, rank_, counts[rank_]);
  if (size_ == 1) return copy(all, mine), Pending();
  count("reduce-scatter", static_cast<double>(all.bytes() - mine.bytes()));
  return start({.kind = Kind::reduce_scatter, .out = all, .in = mine, .send_counts = {counts.begin(), counts.end()}});
}

Pending Group::all_to_all(ConstValues out, Counts send_counts, Values in, Counts receive_counts) {
  check_counts("all-to-all", name_, send_counts, size_, out.count);
  check_counts("all-to-all", name_, receive_counts, size_, in.count);
  check_dtype("all-to-all", out.dtype, in.dtype);
  if (size_ == 1) return copy(out, in), Pending();
  count("all-to-all", static_cast<double>((out.count - send_counts[rank_]) * size_of(out.dtype)));
  return start({.kind = Kind::all_to_all,
                .out = out,
                .in = in,
                .send_counts = {send_counts.begin(), send_counts.end()},
                .receive_counts = {receive_counts.begin(), receive_counts.end()}});
}

std::string from_first(std::string text, Group& group) {
  int64_t size = std::ssize(text);
  group.broadcast(values(std::span(&size, 1)), 0).wait();
  text.resize(size);
  group.broadcast({text.data(), size, DType::u8}, 0).wait();
  return text;
}

std::vector<std::string> from_all(const std::string& mine, Group& group) {
  std::vector<int64_t> sizes(group.size());
  const std::vector<int64_t> ones(group.size(), 1);
  int64_t size = std::ssize(mine);
  group.all_gather(values(std::span(&size, 1)), values(std::span(sizes)), ones).wait();
  std::string all(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}), ' ');
  group.all_gather({mine.data(), size, DType::u8}, {all.data(), std::ssize(all), DType::u8}, sizes).wait();
  std::vector<std::string> texts;
  int64_t at = 0;
  for (int64_t length : sizes) {
    texts.push_back(all.substr(at, length));
    at += length;
  }
  return texts;
}

Pending Group::broadcast(Values data, int root) {
  require(root >= 0 && root < size_, "broadcast in group {} of {}: there is no rank {}", name_, size_, root);
  if (size_ == 1) return {};
  count("broadcast", rank_ == root ? static_cast<double>(data.bytes()) * (size_ - 1) : 0);
  return start({.kind = Kind::broadcast, .out = data, .in = data, .root = root});
}

Pending Group::send(ConstValues data, int to) {
  require(to >= 0 && to < size_ && to != rank_, "send in group {} of {}: from rank {} to {}", name_, size_, rank_, to);
  count("send", static_cast<double>(data.bytes()));
  return start_send(data, to);
}

Pending Group::receive(Values data, int from) {
  require(from >= 0 && from < size_ && from != rank_, "receive in group {} of {}: rank {} from {}", name_, size_, rank_,
          from);
  return start_receive(data, from);
}

void Group::barrier() {
  if (size_ > 1) start({.kind = Kind::barrier}).wait();
}

}  // namespace baton

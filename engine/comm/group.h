#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/tensor/tensor.h"

// Ranks that work together. A group is always a parameter: there is no global rank and no default group, and in a group
// of one every collective is the identity. Communicators: threads of one process (local.h), MPI processes (mpi.h).
namespace baton {

// Contiguous values of one type: f32, f64, i64, i32, u8, or bf16 as uint16_t.
template <typename Byte>
struct BasicValues {
  Byte* data = nullptr;
  int64_t count = 0;
  DType dtype = DType::f32;

  int64_t bytes() const { return count * size_of(dtype); }
  BasicValues part(int64_t first, int64_t size) const { return {static_cast<Byte*>(at(first)), size, dtype}; }
  operator BasicValues<const void>() const { return {data, count, dtype}; }

 private:
  Byte* at(int64_t i) const {
    using Char = std::conditional_t<std::is_const_v<Byte>, const char, char>;
    return static_cast<Char*>(data) + i * size_of(dtype);
  }
};
using Values = BasicValues<void>;
using ConstValues = BasicValues<const void>;

inline Values values(std::span<float> v) { return {v.data(), std::ssize(v), DType::f32}; }
inline Values values(std::span<double> v) { return {v.data(), std::ssize(v), DType::f64}; }
inline Values values(std::span<int64_t> v) { return {v.data(), std::ssize(v), DType::i64}; }

Values values(const Tensor& x);  // contiguous

enum class Reduction { sum, max };
using Counts = std::span<const int64_t>;  // values of each rank, in rank order

// A collective under way. Its buffers may be touched again after wait(). Those of a group are waited for in the order
// in which they were started. Destroying it waits as well.
class [[nodiscard]] Pending {
 public:
  Pending() = default;  // done
  explicit Pending(std::function<void()> finish) : finish_(std::move(finish)) {}
  Pending(Pending&& other) noexcept : finish_(std::exchange(other.finish_, nullptr)) {}
  Pending& operator=(Pending&& other);
  ~Pending();
  void wait();                                                           // throws RunError when a rank is lost
  explicit operator bool() const { return static_cast<bool>(finish_); }  // not waited for yet

 private:
  std::function<void()> finish_;
};

// What a rank has sent, by name of the group and kind of collective, in bytes as a ring would send them: for a
// message of m bytes over n ranks, all-reduce 2 m (n-1) / n, all-gather and reduce-scatter m (n-1) / n with m the
// whole, all-to-all what goes to others, broadcast m (n-1) at the root.
struct Traffic {
  struct Entry {
    int64_t calls = 0;
    double bytes = 0;
  };
  std::map<std::string, std::map<std::string, Entry>> entries;
};

class Group {
 public:
  virtual ~Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& name() const { return name_; }
  const Traffic& traffic() const { return *traffic_; }  // of this rank in all groups split from the same world

  // The ranks of the same color as a group of their own, in the order of their ranks here. Collective.
  virtual std::unique_ptr<Group> split(int color, const std::string& name) = 0;

  // In place. Added up in the order of the ranks and with the same bits on all of them; bf16 is added in f32 and
  // rounded once.
  Pending all_reduce(Values data, Reduction reduction = Reduction::sum);
  // all = the ranks' parts one after another; counts[rank()] == mine.count.
  Pending all_gather(ConstValues mine, Values all, Counts counts);
  // mine = this rank's part of the sum over the ranks' `all`.
  Pending reduce_scatter(ConstValues all, Values mine, Counts counts);
  // The parts of `out`, send_counts[i] values, go to rank i; in = the parts from the ranks, one after another.
  Pending all_to_all(ConstValues out, Counts send_counts, Values in, Counts receive_counts);
  Pending broadcast(Values data, int root);
  // Messages between two ranks arrive in the order in which they were sent. A send may complete before it is received.
  Pending send(ConstValues data, int to);
  Pending receive(Values data, int from);
  void barrier();

  // For messages about a lost rank: what this one is doing.
  virtual void set_step(int64_t step) = 0;

 protected:
  Group(int rank, int size, std::string name, std::shared_ptr<Traffic> traffic)
      : rank_(rank), size_(size), name_(std::move(name)), traffic_(std::move(traffic)) {}

  // One collective as a communicator gets it, checked and counted; sizes above one only.
  enum class Kind { all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, barrier };
  struct Call {
    Kind kind;
    ConstValues out;
    Values in;
    std::vector<int64_t> send_counts, receive_counts;
    Reduction reduction = Reduction::sum;
    int root = 0;
  };
  virtual Pending start(Call call) = 0;
  virtual Pending start_send(ConstValues data, int to) = 0;
  virtual Pending start_receive(Values data, int from) = 0;

  static std::string_view name_of(Kind kind);
  std::shared_ptr<Traffic> shared_traffic() const { return traffic_; }

 private:
  void count(std::string_view kind, double bytes);

  int rank_, size_;
  std::string name_;
  std::shared_ptr<Traffic> traffic_;
};

// Rank 0's text, on all ranks; and the texts of all ranks.
std::string from_first(std::string text, Group& group);
std::vector<std::string> from_all(const std::string& mine, Group& group);

// A group of one rank, the identity of every collective.
Group& alone();

}  // namespace baton

#pragma once

#include <optional>
#include <string>

namespace baton {

// Where the processes of one mpirun find each other before MPI has started, which waits for all of them: the launcher's
// own service (PMIx). One a process.
class Rendezvous {
 public:
  Rendezvous();
  ~Rendezvous();
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Of the first rank: what the others get.
  void publish(const std::string& text);
  // What the first rank has published; nothing if it does not for so many seconds.
  std::optional<std::string> from_first(int seconds);

 private:
  std::string run_;  // its name at the launcher
  int rank_ = 0, size_ = 1;
};

}  // namespace baton

// The engine: a ring, its buffers and files, and the table of what is in flight.
// It knows nothing of Node; one thread owns it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <sys/uio.h>

#include "buffer_arena.h"
#include "copy_pipeline.h"
#include "file_table.h"
#include "registered_buffers.h"
#include "ring.h"

namespace uring {

// Memory shared with JavaScript. Both sides run on one thread, so no word needs to be atomic.
struct Shared {
  // `crowded`: others wait for admission, so that lanes of copies end with the pieces that they have.
  // `late`: what was submitted last was not answered at once, so a disk is at work.
  enum Word { staged, taken, completed, dispatched, calls, referenced, crowded, late, words };

  uint32_t* header;         // `words` of them
  Descriptor* descriptors;  // a power of two
  uint32_t descriptors_mask;
  uint32_t* extras;         // one for each slot, see prepare()
  Completion* completions;
  uint32_t completions_max;
  double* counters;  // in the order of Engine::Counter
};

class Engine {
 public:
  enum Counter { submitted, completed, enters, wakeups, largest_batch, counters };

  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // 0 or -errno.
  int open(const RingOptions& options);
  // Must follow a successful open: its sizes depend on how many entries the kernel granted.
  void share(const Shared& shared) { shared_ = shared; }

  // How many operations may be in flight: one place in the completion queue is kept for a cancel,
  // so that a ring full of operations that never end can still be cancelled.
  uint32_t capacity() const { return ring_.cq_entries() - 1; }
  uint32_t in_flight() const { return in_flight_; }
  bool staged() const;
  // Whether completions have been reaped that JavaScript has not taken.
  bool undelivered() const;
  bool idle() const { return in_flight_ == 0 && !staged() && !unfinished(); }
  // True when the kernel had no memory for a submission: try again later.
  bool unfinished() const { return ring_.unsubmitted() > 0 || !cancels_.empty(); }

  using Clock = std::chrono::steady_clock;
  // Turns every staged descriptor into an entry and enters the kernel; of copies no more than one piece from `until` on,
  // the others stay staged. 0 or -errno.
  int submit(Clock::time_point until = Clock::time_point::max());
  // Copies completions to the shared ring and frees their slots. Returns how many.
  uint32_t reap();
  // Makes the kernel report one completion that is nobody's. 0 or -errno.
  int nudge();
  // At most so many threads of the kernel's work for this thread (of which 0 keeps the limit). 0 or -errno.
  int limit_workers(uint32_t bounded, uint32_t unbounded);
  // Asks the kernel to end an operation. It still ends by its own completion, and only then.
  void cancel(uint32_t slot);
  // Cancels everything and waits for every completion, for at most this long. True if none is left.
  // Files that were being opened are closed.
  bool drain(std::chrono::milliseconds bound);
  void count(Counter counter, double by = 1) { shared_.counters[counter] += by; }

  Ring& ring() { return ring_; }
  BufferArena& arena() { return arena_; }
  FileTable& files() { return files_; }
  RegisteredBuffers& buffers() { return buffers_; }
  Descriptor& descriptor(uint32_t index) {
    return shared_.descriptors[index & shared_.descriptors_mask];
  }
  // Memory for the vector of the operation staged in this slot.
  iovec* make_vector(uint32_t slot, uint32_t count);
  // The write that is staged at this index, and the read before it that is linked to it, begin again with further
  // pieces of the range by themselves. Both complete once, together, and use the range and the piece until then.
  void add_lane(uint32_t index, CopyRange& range, CopyPiece& piece);
  // Closes the files that were opened to be closed by this engine, and were not.
  void close_adopted();
  // Somebody else closes this one. True if it was adopted.
  bool disown(int fd);

 private:
  // An in-flight operation. The generation tells a late completion from the slot's next user's.
  struct Slot {
    uint32_t generation = 0;
    bool in_flight = false;
    bool cancel_when_taken = false;  // asked for while the kernel refused to take it
    bool cancelling = false;         // among the cancels: once is enough there, however often it is asked for
    bool opens = false;              // its result is a descriptor,
    bool adopts = false;             // and nobody but its stream knows of it
    bool severed = false;            // its chain was taken without it
    int32_t closes = -1;             // the adopted descriptor that it closes
    std::unique_ptr<iovec[]> vector;  // of a vectored operation, until its completion
    std::unique_ptr<CopyLane> owned;  // the lane of which this is the read,
    CopyLane* lane = nullptr;         // or the one that it is either of
  };

  bool take_chains();
  bool take_chain();
  uint32_t chain_length();
  void take(io_uring_sqe& sqe);
  void sever_chain();
  void stage_cancel();
  void cancel_all();
  void ask_to_end(uint32_t slot);
  bool is_staged(uint32_t slot);
  uint64_t target_of(const Descriptor& cancel) const;
  // False if nothing came in that time.
  bool wait(std::chrono::milliseconds at_most);
  uint32_t finish(const io_uring_cqe& cqe, Completion* out);
  uint32_t finish_lane(CopyLane& lane, Completion* out);
  void stage(const Descriptor& descriptor);
  uint32_t reap_into(Completion* out, uint32_t max);
  void adopt(int fd);
  void discard();
  void discard(const Completion& completion);
  void discard_undelivered();

  Ring ring_;
  BufferArena arena_;
  FileTable files_;
  RegisteredBuffers buffers_;
  Shared shared_ = {};
  std::vector<Slot> slots_;
  std::vector<bool> adopted_;     // by descriptor: open files that die with the engine
  std::deque<uint64_t> cancels_;  // user_data of operations to cancel, not yet asked for
  bool cancel_in_flight_ = false;
  bool draining_ = false;
  uint32_t in_flight_ = 0;
  uint32_t lanes_ = 0;
};

}  // namespace uring

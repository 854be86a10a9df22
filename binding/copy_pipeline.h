// The native part of copyFile: lanes, each a read with a write linked to it, that begin again further on with no
// JavaScript in between, for as long as both move all that they were to. Whatever else happens ends the lane with the
// results of its last pair, and lib/copy-transfer.ts sees to it.
#pragma once

#include <cstdint>

#include "operation.h"

namespace uring {

struct Completion {
  uint32_t slot;
  int32_t result;
  uint32_t flags;
  uint32_t generation;
};
static_assert(sizeof(Completion) == 16);

// What all lanes of a copy take their pieces from: memory of JavaScript's (lib/copy-range.ts), which the requests of
// the lanes hold. Numbers of bytes but for `pairs`.
struct CopyRange {
  double next;    // where the next piece begins
  double end;     // no piece begins here or behind; JavaScript moves it to stop the lanes
  double chunk;   // what one piece has at most
  double copied;  // by pairs that another one followed,
  double pairs;   // and how many those were
};

// The piece of a lane's last pair; JavaScript's memory too.
struct CopyPiece {
  double position;
  double length;
};

class CopyLane {
 public:
  // The two as they were staged for the first piece.
  CopyLane(const Descriptor& read, const Descriptor& write, CopyRange& range, CopyPiece& piece)
      : read_(read), write_(write), range_(range), piece_(piece) {}

  // One of the two has ended. True when both have.
  bool ended(const Completion& completion);
  // Moves on to the next piece. False when there is none, or when not all of this one was moved.
  bool advance();

  const Descriptor& read() const { return read_; }
  const Descriptor& write() const { return write_; }
  const Completion& read_end() const { return read_end_; }
  const Completion& write_end() const { return write_end_; }

 private:
  Descriptor read_;
  Descriptor write_;
  CopyRange& range_;
  CopyPiece& piece_;
  Completion read_end_ = {};
  Completion write_end_ = {};
  int ends_ = 0;
};

}  // namespace uring

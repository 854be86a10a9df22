// How one operation is asked for: the 32-byte descriptor that JavaScript writes, and the
// preparation of a submission queue entry from it.
#pragma once

#include <cstdint>

#include "buffer_arena.h"
#include "uapi.h"

namespace uring {

// Eight 32-bit words, written by lib/engine-uring.ts in this order.
struct Descriptor {
  uint8_t opcode;     // IORING_OP_*
  uint8_t flags;      // IOSQE_* and `arena_memory`
  uint16_t op_flags;  // the operation's own: RWF_*, MSG_*, AT_*…; `adopt` for an open
  uint32_t slot;      // its entry in the in-flight table
  int32_t fd;         // or the index of a fixed file
  uint32_t length;
  uint32_t position_low;
  uint32_t position_high;
  uint32_t address_low;  // or the offset in the arena
  uint32_t address_high;

  // Bit 7 of `flags` has no meaning to the kernel.
  static constexpr uint8_t arena_memory = 0x80;
  // For an open: the engine closes the file if its thread ends before a CLOSE of it.
  static constexpr uint16_t adopt = 1;

  uint64_t position() const { return uint64_t{position_high} << 32 | position_low; }
  uint64_t address() const { return uint64_t{address_high} << 32 | address_low; }
};
static_assert(sizeof(Descriptor) == 32);

// Fills `sqe` (zeroed before) from `descriptor`. False for an operation that this file does not know.
// A cancel's address is the slot of its target, which the engine puts in the words of the kernel.
// `extra` is what a few operations need beyond a descriptor: for a splice, the descriptor to take from.
bool prepare(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t extra,
             const BufferArena& arena);

void prepare_cancel(io_uring_sqe& sqe, uint64_t target, uint64_t user_data);

}  // namespace uring

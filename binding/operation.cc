#include "operation.h"

#include "check.h"

namespace uring {
namespace {

using Prepare = void (*)(io_uring_sqe& sqe, const Descriptor& descriptor);

void prepare_nop(io_uring_sqe&, const Descriptor&) {}

void prepare_transfer(io_uring_sqe& sqe, const Descriptor& descriptor) {
  sqe.off = descriptor.position();  // all ones: at the file's own position
  sqe.addr = descriptor.address();
  sqe.len = descriptor.length;
  sqe.rw_flags = descriptor.rw_flags;
}

void prepare_fsync(io_uring_sqe& sqe, const Descriptor& descriptor) {
  sqe.fsync_flags = descriptor.position_low;
}

void prepare_openat(io_uring_sqe& sqe, const Descriptor& descriptor) {
  sqe.addr = descriptor.address();
  sqe.len = descriptor.length;  // the mode
  sqe.open_flags = descriptor.position_low;
}

void prepare_close(io_uring_sqe&, const Descriptor&) {}

void prepare_poll(io_uring_sqe& sqe, const Descriptor& descriptor) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "poll32_events is word-reversed on big-endian machines"
#endif
  sqe.poll32_events = descriptor.position_low;
}

Prepare prepare_function(uint8_t opcode) {
  switch (opcode) {
    case IORING_OP_NOP: return prepare_nop;
    case IORING_OP_READ: return prepare_transfer;
    case IORING_OP_WRITE: return prepare_transfer;
    case IORING_OP_FSYNC: return prepare_fsync;
    case IORING_OP_OPENAT: return prepare_openat;
    case IORING_OP_CLOSE: return prepare_close;
    case IORING_OP_POLL_ADD: return prepare_poll;
    default: return nullptr;
  }
}

// A read or write of arena memory: the fixed form where its segment is registered, else the plain one.
void use_arena(io_uring_sqe& sqe, const BufferArena& arena) {
  const uint64_t offset = sqe.addr;
  URING_CHECK(arena.contains(offset, sqe.len));
  sqe.addr = reinterpret_cast<uint64_t>(arena.address(offset));
  const int index = arena.registered_index(offset);
  if (index < 0) return;
  sqe.buf_index = static_cast<uint16_t>(index);
  sqe.opcode = sqe.opcode == IORING_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
}

}  // namespace

bool prepare(io_uring_sqe& sqe, const Descriptor& descriptor, const BufferArena& arena) {
  const Prepare prepare_operation = prepare_function(descriptor.opcode);
  if (prepare_operation == nullptr) return false;
  sqe.opcode = descriptor.opcode;
  sqe.flags = descriptor.flags & ~Descriptor::arena_memory;
  sqe.fd = descriptor.fd;
  prepare_operation(sqe, descriptor);
  if (descriptor.flags & Descriptor::arena_memory) use_arena(sqe, arena);
  return true;
}

void prepare_cancel(io_uring_sqe& sqe, uint64_t target, uint64_t user_data) {
  sqe.opcode = IORING_OP_ASYNC_CANCEL;
  sqe.fd = -1;
  sqe.addr = target;
  sqe.user_data = user_data;
}

}  // namespace uring

#include "operation.h"

#include "check.h"

namespace uring {
namespace {

using Prepare = void (*)(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t extra);

void prepare_nothing(io_uring_sqe&, const Descriptor&, uint32_t) {}

// Most operations have the same fields in the same places; lib/operations.ts says what they mean in each.
void prepare_common(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t) {
  sqe.off = descriptor.position();  // all ones: at the file's own position
  sqe.addr = descriptor.address();
  sqe.len = descriptor.length;
  sqe.rw_flags = descriptor.op_flags;
}

// A buffer that the host registered, by its index.
void prepare_fixed(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t extra) {
  prepare_common(sqe, descriptor, 0);
  sqe.buf_index = static_cast<uint16_t>(extra);
}

void prepare_openat(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t) {
  sqe.addr = descriptor.address();
  sqe.len = descriptor.length;  // the mode
  sqe.open_flags = descriptor.position_low;
}

void prepare_poll(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "poll32_events is word-reversed on big-endian machines"
#endif
  sqe.poll32_events = descriptor.position_low;
}

void prepare_splice(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t extra) {
  prepare_common(sqe, descriptor, 0);
  sqe.splice_fd_in = static_cast<int32_t>(extra);
}

Prepare prepare_function(uint8_t opcode) {
  switch (opcode) {
    case IORING_OP_NOP:
    case IORING_OP_CLOSE: return prepare_nothing;
    case IORING_OP_WRITEV:
    case IORING_OP_FSYNC:
    case IORING_OP_TIMEOUT:
    case IORING_OP_LINK_TIMEOUT:
    case IORING_OP_ASYNC_CANCEL:
    case IORING_OP_FALLOCATE:
    case IORING_OP_STATX:
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_FADVISE:
    case IORING_OP_SEND:
    case IORING_OP_RECV:
    case IORING_OP_RENAMEAT:
    case IORING_OP_UNLINKAT:
    case uapi::op_ftruncate: return prepare_common;
    case IORING_OP_READ_FIXED:
    case IORING_OP_WRITE_FIXED: return prepare_fixed;
    case IORING_OP_OPENAT: return prepare_openat;
    case IORING_OP_POLL_ADD: return prepare_poll;
    case IORING_OP_SPLICE: return prepare_splice;
    default: return nullptr;
  }
}

// Arena memory: the fixed form of a read or write where its segment is registered, else the plain one.
void use_arena(io_uring_sqe& sqe, const BufferArena& arena) {
  const uint64_t offset = sqe.addr;
  URING_CHECK(arena.contains(offset, sqe.len));
  sqe.addr = reinterpret_cast<uint64_t>(arena.address(offset));
  const int index = arena.registered_index(offset);
  // Only these two have a fixed form; a RECV into the arena stays what it is.
  if (index < 0 || (sqe.opcode != IORING_OP_READ && sqe.opcode != IORING_OP_WRITE)) return;
  sqe.buf_index = static_cast<uint16_t>(index);
  sqe.opcode = sqe.opcode == IORING_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
}

}  // namespace

bool prepare(io_uring_sqe& sqe, const Descriptor& descriptor, uint32_t extra,
             const BufferArena& arena) {
  const Prepare prepare_operation = prepare_function(descriptor.opcode);
  if (prepare_operation == nullptr) return false;
  sqe.opcode = descriptor.opcode;
  sqe.flags = descriptor.flags & ~Descriptor::arena_memory;
  sqe.fd = descriptor.fd;
  prepare_operation(sqe, descriptor, extra);
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

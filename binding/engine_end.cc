#include "engine.h"

#include <algorithm>

#include <poll.h>
#include <unistd.h>

// How an engine ends: everything is cancelled and awaited, and what was opened is closed.
namespace uring {

bool Engine::drain(std::chrono::milliseconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  submit();
  draining_ = true;
  discard_undelivered();
  cancel_all();
  for (;;) {
    discard();
    if (idle() && !cancel_in_flight_) {
      draining_ = false;
      return true;
    }
    const auto left = deadline - std::chrono::steady_clock::now();
    const auto left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    if (left_ms <= 0) return false;
    const auto at_most = std::chrono::milliseconds(std::min<decltype(left_ms)>(left_ms, 10));
    if (!wait(at_most) && !cancel_in_flight_ && cancels_.empty()) cancel_all();
    if (unfinished() || staged()) submit();
  }
}

// The kernel does not find what is behind a link, or on its way from one of its queues to another:
// that must be asked for again.
void Engine::cancel_all() {
  for (uint32_t i = 0; i < slots_.size(); i++) {
    if (slots_[i].in_flight) ask_to_end(i);
  }
  submit();
}

bool Engine::wait(std::chrono::milliseconds at_most) {
  if (ring_.must_poll()) {
    poll(nullptr, 0, 1);  // to be looked for again, that is all
    return true;
  }
  // EINTR is welcome: with COOP_TASKRUN completions are posted on the way out of any system call.
  pollfd ring = {.fd = ring_.poll_fd(), .events = POLLIN, .revents = 0};
  const int ready = poll(&ring, 1, static_cast<int>(at_most.count()));
  if (ready > 0) ring_.clear_event();
  return ready != 0;
}

// Takes completions that nobody waits for any more. A file that was opened meanwhile has no other owner.
void Engine::discard() {
  Completion discarded[64];
  for (;;) {
    const uint32_t count = reap_into(discarded, std::size(discarded));
    if (count == 0) return;
    for (uint32_t i = 0; i < count; i++) discard(discarded[i]);
  }
}

void Engine::discard_undelivered() {
  uint32_t* header = shared_.header;
  while (undelivered()) discard(shared_.completions[header[Shared::dispatched]++]);
}

void Engine::discard(const Completion& completion) {
  const Slot& slot = slots_[completion.slot];
  if (slot.opens && !slot.adopts && completion.result >= 0) close(completion.result);
}

void Engine::adopt(int fd) {
  const auto index = static_cast<size_t>(fd);
  if (index >= adopted_.size()) adopted_.resize(index + 1);
  adopted_[index] = true;
}

bool Engine::disown(int fd) {
  // A negative one is past every index.
  const auto index = static_cast<size_t>(fd);
  if (index >= adopted_.size() || !adopted_[index]) return false;
  adopted_[index] = false;
  return true;
}

void Engine::close_adopted() {
  for (size_t fd = 0; fd < adopted_.size(); fd++) {
    if (adopted_[fd]) close(static_cast<int>(fd));
  }
  adopted_.clear();
}

}  // namespace uring

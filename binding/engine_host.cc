#include "engine_host.h"

#include <chrono>

#include "check.h"

namespace uring {
namespace {

// After so long everything is asked to end once more.
constexpr std::chrono::milliseconds drain_bound{10'000};

// For how long one wake-up may go on to submit, drain, and submit what that staged. Timers wait for so long, and for
// the copying of what is in flight: with a fixed four rounds a hot leased read kept the loop for 1.9 ms at a time, so
// for 1.1, and an operation alone took 1.27 us, so 1.15 (2026-11-26, Linux 6.18).
constexpr std::chrono::microseconds turn_bound{500};

}  // namespace

EngineHost* EngineHost::open(Napi::Env env, const RingOptions& options, int& error) {
  auto* host = new EngineHost(env, options);
  error = host->engine_.open(options);
  if (error == 0) return host;
  delete host;
  return nullptr;
}

int EngineHost::start(const Shared& shared, Napi::Object keep, Napi::Function dispatch) {
  uv_loop_t* loop = nullptr;
  URING_CHECK(napi_get_uv_event_loop(env_, &loop) == napi_ok);
  const int error = wakeup_.open(loop, engine_, on_turn, on_woken, this);
  if (error < 0) {
    close();
    return error;
  }
  engine_.share(shared);
  header_ = shared.header;
  URING_CHECK(napi_create_reference(env_, keep, 1, &keep_) == napi_ok);
  URING_CHECK(napi_create_reference(env_, dispatch, 1, &dispatch_) == napi_ok);
  const auto name = Napi::String::New(env_, "URINGSTREAMS");
  URING_CHECK(napi_async_init(env_, keep, name, &context_) == napi_ok);
  URING_CHECK(napi_add_async_cleanup_hook(env_, on_cleanup, this, &hook_) == napi_ok);
  return 0;
}

void EngineHost::reference() {
  if (header_[Shared::referenced]) return;
  header_[Shared::referenced] = 1;
  wakeup_.reference();
}

// The process may exit by itself once nothing is in flight.
void EngineHost::update_references() {
  if (engine_.unfinished()) wakeup_.retry_soon();
  if (!engine_.idle()) return reference();
  if (!header_[Shared::referenced]) return;
  header_[Shared::referenced] = 0;
  wakeup_.unreference();
}

void EngineHost::turn() {
  // What JavaScript was not there to take is kept for the end.
  if (dispatching_ || closing_ || engine_.undelivered()) return;
  const auto until = Engine::Clock::now() + turn_bound;
  do {
    const bool refused = engine_.submit(until) < 0;  // for want of memory: update_references() sees to a later turn
    if (engine_.reap() > 0) {
      dispatch();
      if (engine_.undelivered()) return;
    } else if (refused || !engine_.staged()) break;  // not even by a lane
    if (closing_) return;
  } while (Engine::Clock::now() < until);
  engine_.submit(until);  // what the last round staged must not wait for the loop to sleep,
  if (engine_.staged() && !engine_.unfinished()) wakeup_.stay_awake();  // and what is left of copies for what else is due
  update_references();
  wakeup_.turn_ended();
}

// The whole batch reaches JavaScript: when a callback in its midst throws, the call after goes on there.
void EngineHost::dispatch() {
  const Napi::HandleScope scope(env_);
  wakeup_.called_back();
  dispatching_ = true;
  while (!closing_) {
    const uint32_t calls = header_[Shared::calls];
    if (call(dispatch_)) break;
    if (header_[Shared::calls] == calls) break;  // JavaScript is shut off: the environment ends
  }
  dispatching_ = false;
}

// False when it threw, which is reported as any exception that nobody catches, and when JavaScript is
// shut off: while a worker is being terminated every call into it fails.
bool EngineHost::call(napi_ref reference) {
  napi_value function = nullptr;
  napi_value receiver = nullptr;
  if (napi_get_reference_value(env_, reference, &function) != napi_ok) return false;
  if (napi_get_global(env_, &receiver) != napi_ok) return false;
  const napi_status status =
      napi_make_callback(env_, context_, receiver, function, 0, nullptr, nullptr);
  if (status == napi_ok) return true;
  napi_value exception = nullptr;
  if (status == napi_pending_exception &&
      napi_get_and_clear_last_exception(env_, &exception) == napi_ok) {
    napi_fatal_exception(env_, exception);
  }
  return false;
}

void EngineHost::close(napi_value closed) {
  if (closing_) return;
  closing_ = true;
  if (owner_ != nullptr) *owner_ = nullptr;
  if (!started()) {
    delete this;
    return;
  }
  // However long a file system hangs: the kernel may write to memory that V8 frees with its isolate. A process that ends
  // would wait as long, in the kernel (io_uring_cancel_generic).
  while (!engine_.drain(drain_bound)) continue;
  napi_delete_reference(env_, dispatch_);
  napi_delete_reference(env_, keep_);
  if (closed != nullptr) napi_create_reference(env_, closed, 1, &closed_);
  wakeup_.close(on_closed);
}

void EngineHost::on_closed(void* context) {
  auto* self = static_cast<EngineHost*>(context);
  self->engine_.ring().close();
  if (self->closed_ != nullptr) {
    const Napi::HandleScope scope(self->env_);
    self->call(self->closed_);
    napi_delete_reference(self->env_, self->closed_);
  }
  napi_async_destroy(self->env_, self->context_);
  // The environment waits for this removal before it goes on to end.
  napi_remove_async_cleanup_hook(self->hook_);
  delete self;
}

// The environment ends: process exit or worker.terminate(). The drain comes first, while the memory
// that JavaScript lent to operations still exists. Leases that are out end with the JavaScript that has them.
void EngineHost::on_cleanup(napi_async_cleanup_hook_handle, void* context) {
  auto* self = static_cast<EngineHost*>(context);
  if (self->closing_) return;
  self->close();
  self->engine_.close_adopted();
}

}  // namespace uring

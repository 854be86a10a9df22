#include "engine_host.h"

#include <chrono>

#include "check.h"

namespace uring {
namespace {

// File operations end by themselves, so this is only ever used up by a file system that hangs.
constexpr std::chrono::milliseconds drain_bound{10'000};

}  // namespace

EngineHost* EngineHost::open(Napi::Env env, const RingOptions& options, int& error) {
  auto* host = new EngineHost(env);
  error = host->engine_.open(options);
  if (error == 0) return host;
  delete host;
  return nullptr;
}

EngineHost::~EngineHost() {
  // A lease that is still out points into the arena.
  if (leases_ > 0) engine_.leak();
}

int EngineHost::start(const Shared& shared, Napi::Object keep, Napi::Function dispatch) {
  uv_loop_t* loop = nullptr;
  URING_CHECK(napi_get_uv_event_loop(env_, &loop) == napi_ok);
  const int error = wakeup_.open(loop, engine_.ring().fd(), on_turn, on_woken, this);
  if (error < 0) {
    close();
    return error;
  }
  engine_.share(shared);
  header_ = shared.header;
  URING_CHECK(napi_create_reference(env_, keep, 1, &keep_) == napi_ok);
  URING_CHECK(napi_create_reference(env_, dispatch, 1, &dispatch_) == napi_ok);
  const auto name = Napi::String::New(env_, "URINGSTREAMS");
  URING_CHECK(napi_async_init(env_, nullptr, name, &context_) == napi_ok);
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
  if (dispatching_ || closing_) return;
  for (int round = 0; round < Engine::rounds_max; round++) {
    engine_.submit();
    if (engine_.reap() == 0) break;
    dispatch();
    if (closing_) return;
  }
  engine_.submit();  // what the last round staged must not wait for the loop to sleep
  update_references();
}

// The whole batch reaches JavaScript: when a callback in its midst throws, the call after goes on there.
void EngineHost::dispatch() {
  const Napi::HandleScope scope(env_);
  dispatching_ = true;
  while (!closing_) {
    const uint32_t calls = header_[Shared::calls];
    if (call_dispatch()) break;
    if (header_[Shared::calls] == calls) break;  // JavaScript is shut off: the environment ends
  }
  dispatching_ = false;
}

bool EngineHost::call_dispatch() {
  napi_value function = nullptr;
  napi_value receiver = nullptr;
  URING_CHECK(napi_get_reference_value(env_, dispatch_, &function) == napi_ok);
  URING_CHECK(napi_get_global(env_, &receiver) == napi_ok);
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

void EngineHost::close() {
  if (closing_) return;
  closing_ = true;
  if (owner_ != nullptr) *owner_ = nullptr;
  if (header_ == nullptr) {  // never started
    delete this;
    return;
  }
  // Past the bound the memory is leaked: the kernel may still write to it.
  if (!engine_.drain(drain_bound)) engine_.leak();
  napi_delete_reference(env_, dispatch_);
  napi_delete_reference(env_, keep_);
  napi_async_destroy(env_, context_);
  wakeup_.close(on_closed);
}

void EngineHost::on_closed(void* context) {
  auto* self = static_cast<EngineHost*>(context);
  // The environment waits for this removal before it goes on to end.
  napi_remove_async_cleanup_hook(self->hook_);
  delete self;
}

// The environment ends: process exit or worker.terminate(). The drain comes first, while the memory
// that JavaScript lent to operations still exists.
void EngineHost::on_cleanup(napi_async_cleanup_hook_handle, void* context) {
  static_cast<EngineHost*>(context)->close();
}

}  // namespace uring

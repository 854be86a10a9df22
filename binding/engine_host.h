// An engine inside a Node environment: it calls JavaScript, follows the event loop, and outlives its
// JavaScript object until the loop has let go of its handles.
#pragma once

#include <napi.h>

#include "engine.h"
#include "wakeup.h"

namespace uring {

class EngineHost {
 public:
  // Null with -errno in `error` where the kernel refuses.
  static EngineHost* open(Napi::Env env, const RingOptions& options, int& error);

  // Starts the engine on memory that `keep` holds alive until close; async_hooks know the engine by that object.
  int start(const Shared& shared, Napi::Object keep, Napi::Function dispatch);
  void reference();
  int submit() { return engine_.submit(); }
  // Ends the engine: cancels, waits until nothing is in flight, and gives this object up. `closed` is called when the
  // loop has let go of it and the ring's descriptor is closed.
  void close(napi_value closed = nullptr);

  bool started() const { return header_ != nullptr; }
  Engine& engine() { return engine_; }
  // Cleared when the JavaScript object must no longer use this one.
  void set_owner(EngineHost** owner) { owner_ = owner; }

 private:
  EngineHost(Napi::Env env, const RingOptions& options)
      : env_(env), wakeup_(WakeSource::make(options)) {}
  ~EngineHost() = default;

  static void on_turn(void* self) { static_cast<EngineHost*>(self)->turn(); }
  static void on_woken(void* self) {
    static_cast<EngineHost*>(self)->engine_.count(Engine::wakeups);
  }
  static void on_closed(void* self);
  static void on_cleanup(napi_async_cleanup_hook_handle hook, void* self);

  void turn();
  void dispatch();
  bool call(napi_ref function);
  void update_references();

  Napi::Env env_;
  Engine engine_;
  Wakeup wakeup_;
  EngineHost** owner_ = nullptr;
  uint32_t* header_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_ref keep_ = nullptr;
  napi_ref dispatch_ = nullptr;
  napi_ref closed_ = nullptr;
  bool dispatching_ = false;
  bool closing_ = false;
};

}  // namespace uring

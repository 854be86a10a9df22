// What ends the sleep of the event loop when an engine has completions. One is chosen for each ring.
#pragma once

#include <uv.h>

#include <memory>

#include "engine.h"

namespace uring {

class WakeSource {
 public:
  using Callback = void (*)(void* context);

  // The one that the ring's options ask for.
  static std::unique_ptr<WakeSource> make(const RingOptions& options);

  WakeSource() = default;
  virtual ~WakeSource() = default;
  WakeSource(const WakeSource&) = delete;
  WakeSource& operator=(const WakeSource&) = delete;

  // 0 or -errno; with an error nothing is to be closed. `woken` is called when the ring has something.
  virtual int open(uv_loop_t* loop, Engine& engine, Callback woken, void* context) = 0;
  virtual uv_handle_t* handle() = 0;
  // While referenced, the loop stays alive and learns of completions.
  virtual void reference() { uv_ref(handle()); }
  virtual void unreference() { uv_unref(handle()); }
  // After each turn: what was left unreaped must wake the loop again.
  virtual void turn_ended() {}
  // Before the handle is closed, when all operations have ended.
  virtual void stop() {}

 protected:
  void watch(Engine& engine, Callback woken, void* context);
  void woken() { woken_(context_); }
  Engine& engine() { return *engine_; }

 private:
  Engine* engine_ = nullptr;
  Callback woken_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace uring

// A thread that waits inside the kernel for completions, and wakes the event loop.
#pragma once

#include <uv.h>

#include <memory>

#include "wake_source.h"

namespace uring {

class ReaperSource final : public WakeSource {
 public:
  int open(uv_loop_t* loop, Engine& engine, Callback woken, void* context) override;
  uv_handle_t* handle() override { return reinterpret_cast<uv_handle_t*>(&async_); }
  void turn_ended() override;
  void stop() override;

 private:
  class Reaper;

  bool wake_for_good();

  uv_async_t async_;
  uv_thread_t thread_;
  std::shared_ptr<Reaper> reaper_;
};

}  // namespace uring

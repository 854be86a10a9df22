// When to submit and when to reap: the event-loop handles of one engine.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>

#include "wake_source.h"

namespace uring {

class Wakeup {
 public:
  using Callback = void (*)(void* context);

  explicit Wakeup(std::unique_ptr<WakeSource> source) : source_(std::move(source)) {}

  // `turn` is called before and after the loop polls, `woken` when the ring has completions.
  int open(uv_loop_t* loop, Engine& engine, Callback turn, Callback woken, void* context);
  // While referenced, the loop stays alive and sleeps until the ring has something.
  void reference();
  void unreference();
  // To be called when JavaScript has run in a turn.
  void called_back();
  // The loop does not sleep before the next turn.
  void stay_awake();
  // To be called at the end of each turn.
  void turn_ended() { source_->turn_ended(); }
  // Wakes the loop once more after a moment: the kernel was short of memory for a submission.
  void retry_soon();
  // Closes the handles, when all operations have ended; `closed` runs when the loop has let go of the last of them.
  void close(Callback closed);

 private:
  static constexpr uint64_t retry_ms = 1;
  static constexpr int handles = 5;

  static void on_prepare(uv_prepare_t* handle);
  static void on_check(uv_check_t* handle);
  static void on_closed(uv_handle_t* handle);

  std::unique_ptr<WakeSource> source_;
  // prepare: what was staged since the last poll must be submitted before the loop sleeps.
  // check: what the poll's callbacks staged, and what woke the poll. Alone it would never start:
  // the loop sleeps before it gets there.
  uv_prepare_t prepare_;
  uv_check_t check_;
  uv_timer_t retry_;
  // What JavaScript stages in a prepare hook for another ring, whose own hook may have run already, must be submitted as
  // well: the loop does not sleep before all hooks have run again. Another ring may be one of another copy of this addon.
  uv_idle_t awake_;
  bool preparing_ = false;
  Callback turn_ = nullptr;
  Callback closed_ = nullptr;
  void* context_ = nullptr;
  int open_handles_ = 0;
};

}  // namespace uring

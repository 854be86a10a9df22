#include "wake_source.h"

#include "check.h"
#include "reaper.h"

namespace uring {
namespace {

template <typename Handle>
uv_handle_t* as_handle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

// The loop watches a descriptor: the ring's own, which is readable for as long as completions wait, or
// an eventfd, which tells of each once.
class PollSource : public WakeSource {
 public:
  int open(uv_loop_t* loop, Engine& engine, Callback woken, void* context) override {
    watch(engine, woken, context);
    poll_.data = this;
    const int error = uv_poll_init(loop, &poll_, engine.ring().poll_fd());
    if (error < 0) return error;
    URING_CHECK(uv_poll_start(&poll_, UV_READABLE, on_poll) == 0);
    return 0;
  }
  uv_handle_t* handle() override { return as_handle(&poll_); }

 protected:
  // The check handle reaps right after this, in the same iteration of the loop.
  virtual void readable() { woken(); }

 private:
  static void on_poll(uv_poll_t* handle, int, int) {
    static_cast<PollSource*>(handle->data)->readable();
  }

  uv_poll_t poll_;
};

class EventSource final : public PollSource {
 public:
  void turn_ended() override {
    if (engine().ring().has_more()) engine().ring().repeat_event();
  }

 protected:
  void readable() override {
    // Before the reaping: what comes after this is told again.
    engine().ring().clear_event();
    woken();
  }
};

// Nobody tells of polled operations: while some are in flight, the loop does not sleep, and each turn looks.
class IdleSource final : public WakeSource {
 public:
  int open(uv_loop_t* loop, Engine& engine, Callback woken, void* context) override {
    watch(engine, woken, context);
    idle_.data = this;
    return uv_idle_init(loop, &idle_);
  }
  uv_handle_t* handle() override { return as_handle(&idle_); }
  // An active idle handle keeps the loop from sleeping, referenced or not.
  void reference() override {
    URING_CHECK(uv_idle_start(&idle_, [](uv_idle_t*) {}) == 0);
    WakeSource::reference();
  }
  void unreference() override {
    URING_CHECK(uv_idle_stop(&idle_) == 0);
    WakeSource::unreference();
  }

 private:
  uv_idle_t idle_;
};

}  // namespace

std::unique_ptr<WakeSource> WakeSource::make(const RingOptions& options) {
  if (options.flags & IORING_SETUP_IOPOLL) return std::make_unique<IdleSource>();
  switch (options.wakeup) {
    case WakeupMode::eventfd: return std::make_unique<EventSource>();
    case WakeupMode::thread: return std::make_unique<ReaperSource>();
    default: return std::make_unique<PollSource>();
  }
}

void WakeSource::watch(Engine& engine, Callback woken, void* context) {
  engine_ = &engine;
  woken_ = woken;
  context_ = context;
}

}  // namespace uring

#include "reaper.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <pthread.h>
#include <sys/prctl.h>
#include <semaphore>

#include "check.h"

// The oldest version of it: glibc 2.34 has moved it, and would not let older ones load what names the new place.
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver pthread_detach, pthread_detach@GLIBC_2.2.5");
#elif defined(__GLIBC__) && defined(__aarch64__)
__asm__(".symver pthread_detach, pthread_detach@GLIBC_2.17");
#endif

namespace uring {
namespace {

// It calls nothing that is deep.
constexpr size_t stack_bytes = 256 * 1024;

// A signal is for the threads that expect it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    // Of this thread alone, on Linux; pthread_sigmask is another symbol since glibc 2.32.
    sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

// What the thread uses. Both sides hold it: a thread that cannot be awaited keeps it for good.
class ReaperSource::Reaper {
 public:
  Reaper(int ring_fd, uv_async_t& async) : ring_fd_(ring_fd), async_(async) {}

  void run() {
    prctl(PR_SET_NAME, "uring-reaper");
    do {
      // While completions wait, enter returns at once: the loop must have reaped before.
      reaped_.acquire();
      if (has_ended()) return;  // the ring's descriptor may be somebody else's already
      const int entered = sys_enter(ring_fd_, 0, 1, IORING_ENTER_GETEVENTS);
      if (entered < 0 && entered != -EINTR && entered != -EAGAIN && entered != -EBUSY) return;
      waits_.store(true);
    } while (tell());
  }
  // The loop has looked at the queue.
  void go_on() {
    if (waits_.exchange(false)) reaped_.release();
  }
  // After this the thread touches nothing that is not its own.
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    go_on();
  }

 private:
  bool has_ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  bool tell() {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    uv_async_send(&async_);
    return true;
  }

  const int ring_fd_;
  uv_async_t& async_;
  std::mutex mutex_;
  bool ended_ = false;
  std::atomic<bool> waits_ = true;  // for the loop's first turn
  std::counting_semaphore<> reaped_{0};
};

int ReaperSource::open(uv_loop_t* loop, Engine& engine, Callback woken, void* context) {
  watch(engine, woken, context);
  auto reaper = std::make_shared<Reaper>(engine.ring().fd(), async_);
  async_.data = this;
  auto* own = new std::shared_ptr<Reaper>(reaper);
  const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = stack_bytes};
  const auto on_woken = [](uv_async_t* handle) { static_cast<ReaperSource*>(handle->data)->woken(); };
  const auto run = [](void* argument) {
    const std::unique_ptr<std::shared_ptr<Reaper>> own(static_cast<std::shared_ptr<Reaper>*>(argument));
    (*own)->run();
  };
  const SignalsBlocked blocked;
  const int error = uv_thread_create_ex(&thread_, &options, run, own);
  if (error < 0) {
    delete own;
    return error;
  }
  // After the thread, for a handle that is open could only be closed in a later turn.
  URING_CHECK(uv_async_init(loop, &async_, on_woken) == 0);
  reaper_ = std::move(reaper);
  return 0;
}

void ReaperSource::turn_ended() { reaper_->go_on(); }

void ReaperSource::stop() {
  reaper_->end();
  // A thread that cannot be woken is left to itself.
  if (wake_for_good()) {
    URING_CHECK(uv_thread_join(&thread_) == 0);
  } else {
    pthread_detach(thread_);
  }
}

// Nobody reaps any more, so this completion stays, and no wait on the ring lasts.
bool ReaperSource::wake_for_good() {
  constexpr int attempts = 100;  // a millisecond apart: the kernel may be short of memory
  for (int i = 0; i < attempts; i++) {
    if (engine().nudge() == 0) return true;
    uv_sleep(1);
  }
  return false;
}

}  // namespace uring

// main() of every test binary: `./ring_test` runs all of its tests, `./ring_test word` those whose
// name contains the word.
#include "harness.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace test {
namespace {

constexpr int skipped = 77;
constexpr size_t reason_bytes = 4096;

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

// Shared with the children, who know why.
char* const skip_reason = static_cast<char*>(
    mmap(nullptr, reason_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

std::string meaning_of(int status) {
  if (WIFSIGNALED(status)) return std::string("killed by ") + strsignal(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

bool is_skip(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == skipped; }

bool report(int number, const Test& test, int status) {
  const bool passed = status == 0 || is_skip(status);
  if (!passed) std::cout << "# " << meaning_of(status) << "\n";
  std::cout << (passed ? "ok " : "not ok ") << number << " - " << test.name;
  if (is_skip(status)) std::cout << " # SKIP " << skip_reason;
  std::cout << std::endl;
  return passed;
}

}  // namespace

bool add(const Test& test) {
  tests().push_back(test);
  return true;
}

void fail(const char* file, int line, const std::string& what) {
  std::cout << "# " << file << ":" << line << ": failed: " << what << std::endl;
  _exit(1);
}

void skip(const std::string& reason) {
  std::strncpy(skip_reason, reason.c_str(), reason_bytes - 1);
  std::cout.flush();
  _exit(skipped);
}

int status_of(const std::function<void()>& body) {
  std::cout.flush();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(seconds_max);
    body();
    std::cout.flush();
    std::exit(0);  // not _exit: leaks are looked for at exit
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

void in_child(const std::function<void()>& body) {
  const int status = status_of(body);
  if (is_skip(status)) _exit(skipped);
  if (status != 0) fail(__FILE__, __LINE__, "the child ended: " + meaning_of(status));
}

}  // namespace test

int main(int argc, char** argv) {
  std::vector<test::Test> chosen;
  for (const auto& one : test::tests()) {
    if (argc < 2 || std::strstr(one.name, argv[1]) != nullptr) chosen.push_back(one);
  }
  std::cout << "TAP version 14\n1.." << chosen.size() << std::endl;
  int failed = 0;
  for (size_t i = 0; i < chosen.size(); i++) {
    const int status = test::status_of(chosen[i].run);
    failed += !test::report(static_cast<int>(i) + 1, chosen[i], status);
  }
  return failed == 0 ? 0 : 1;
}

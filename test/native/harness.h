// Tests that print TAP. Each runs in a process of its own, so that a crash, a hang or a leak fails
// that one test and no other.
#pragma once

#include <functional>
#include <iostream>
#include <string>

namespace test {

// A test that waits for an event which never comes is killed after this long.
constexpr unsigned seconds_max = 100;

struct Test {
  const char* name;
  void (*run)();
};
bool add(const Test& test);

// Both end the process, which is the test's own: nothing after them runs.
[[noreturn]] void fail(const char* file, int line, const std::string& what);
[[noreturn]] void skip(const std::string& reason);

// Runs `body` in a child process. Its wait status; a skip inside skips the whole test.
int status_of(const std::function<void()>& body);
// The same for a child that must succeed, where it may check and fail as the test itself.
void in_child(const std::function<void()>& body);

template <typename Actual, typename Expected>
void equal(const Actual& actual, const Expected& expected, const char* expression, const char* file,
           int line) {
  if (actual == static_cast<Actual>(expected)) return;
  std::cout << "# wanted " << +expected << ", found " << +actual << "\n";
  fail(file, line, expression);
}

}  // namespace test

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : test::fail(__FILE__, __LINE__, #condition))
#define CHECK_EQUAL(actual, expected) \
  test::equal(actual, expected, #actual " == " #expected, __FILE__, __LINE__)

#define TEST_ON_LINE(name, line)                                  \
  static void test_##line();                                      \
  static const bool added_##line = test::add({name, test_##line}); \
  static void test_##line()
#define TEST_EXPANDED(name, line) TEST_ON_LINE(name, line)
#define TEST(name) TEST_EXPANDED(name, __LINE__)

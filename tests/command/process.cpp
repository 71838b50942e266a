#include "tests/command/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace strata::test {
namespace {

struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) == 0) {
      read = ends[0];
      write = ends[1];
    }
  }
  ~Pipe() {
    close_end(read);
    close_end(write);
  }
  static void close_end(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
};

// What ctest names, else the program beside this one.
std::string program() {
  if (const char* named = std::getenv("STRATA_PROGRAM"); named != nullptr) return named;
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "strata").string();
}

[[noreturn]] void become_strata(const Start& start, Pipe& in, Pipe& out, Pipe& err) {
  dup2(in.read, STDIN_FILENO);
  dup2(out.write, STDOUT_FILENO);
  dup2(err.write, STDERR_FILENO);
  // What these tests expect is the CPU's; a machine with a GPU would use that.
  setenv("STRATA_DEVICE", "cpu", 0);
  for (const std::string& setting : start.environment) {
    const std::size_t equals = setting.find('=');
    setenv(setting.substr(0, equals).c_str(), setting.substr(equals + 1).c_str(), 1);
  }
  const std::string path = program();
  std::vector<char*> words{const_cast<char*>(path.c_str())};
  for (const std::string& argument : start.arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  execv(path.c_str(), words.data());
  _exit(127);
}

bool read_some(int& end, std::string& text) {
  std::array<char, 4096> buffer{};
  const ssize_t count = read(end, buffer.data(), buffer.size());
  if (count <= 0) {
    Pipe::close_end(end);
    return false;
  }
  text.append(buffer.data(), static_cast<std::size_t>(count));
  return true;
}

void read_both(pid_t child, const Start& start, Pipe& out, Pipe& err, Finished& finished) {
  bool signalled = start.signal_after_output == 0;
  while (out.read >= 0 || err.read >= 0) {
    std::array<pollfd, 2> ends{pollfd{out.read, POLLIN, 0}, pollfd{err.read, POLLIN, 0}};
    poll(ends.data(), ends.size(), -1);
    if (out.read >= 0 && ends[0].revents != 0 && read_some(out.read, finished.out) && !signalled) {
      kill(child, start.signal_after_output);
      signalled = true;
    }
    if (err.read >= 0 && ends[1].revents != 0) read_some(err.read, finished.err);
  }
}

}  // namespace

Finished run_strata(const Start& start) {
  Pipe in;
  Pipe out;
  Pipe err;
  const pid_t child = fork();
  if (child == 0) become_strata(start, in, out, err);
  Pipe::close_end(in.read);
  Pipe::close_end(out.write);
  Pipe::close_end(err.write);
  // Inputs of these tests are smaller than a pipe's buffer.
  if (!start.input.empty() && write(in.write, start.input.data(), start.input.size()) < 0)
    return {};
  if (!start.keep_input_open) Pipe::close_end(in.write);
  Finished finished;
  read_both(child, start, out, err, finished);
  int status = 0;
  waitpid(child, &status, 0);
  finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

Finished run_strata(std::vector<std::string> arguments) {
  Start start;
  start.arguments = std::move(arguments);
  return run_strata(start);
}

}  // namespace strata::test

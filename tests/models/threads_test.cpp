// Threads do not show in the results, whether or not they get their CPUs, and the token loop asks
// nothing of the kernel but to sleep and to be woken.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "backends/cpu/cpu_device.h"
#include "tests/support/loaded_model.h"
#include "tests/support/source_dir.h"

namespace strata::test {
namespace {

constexpr std::int32_t kPrompt = 24;
constexpr std::int32_t kSteps = 12;
constexpr std::int32_t kWarmUpSteps = 4;
constexpr std::int32_t kCountedSteps = 50;

LoadedModel load(const std::string& name, const DeviceOptions& threads) {
  LoadedModel loaded;
  RunnerOptions options = test_options(DType::F16, 64);
  options.context = 128;
  loaded.device = open_device("cpu", threads);
  loaded.model =
      Model::load(ModelFile::open(std::filesystem::path(source_dir()) / "models" / name));
  loaded.runner = std::make_unique<Runner>(loaded.model, *loaded.device, options);
  return loaded;
}

// Logits of a prompt's last token and of steps of one token each.
std::vector<float> logits_of(Runner& runner) {
  PagePool& pool = runner.pool();
  const std::int32_t slot = pool.open();
  std::vector<float> logits;
  const auto keep = [&](std::size_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  };
  std::vector<BatchToken> batch;
  for (std::int32_t i = 0; i < kPrompt; ++i)
    batch.push_back({i * 7 % 96, slot, i, i + 1 == kPrompt});
  pool.extend(slot, kPrompt);
  runner.step(batch, keep);
  for (std::int32_t i = kPrompt; i < kPrompt + kSteps; ++i) {
    batch.assign(1, {i * 11 % 96, slot, i, true});
    pool.extend(slot, 1);
    runner.step(batch, keep);
  }
  pool.close(slot);
  return logits;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Threads : public testing::TestWithParam<const char*> {};

TEST_P(Threads, AnyNumberGivesTheSameBits) {
  const std::vector<float> want = logits_of(*load(GetParam(), {1}).runner);
  constexpr DeviceOptions kThreads[] = {{2}, {3}, {7}, {64}, {1, 3}, {3, 1}, {2, 64}, {64, 2}};
  for (const DeviceOptions& threads : kThreads)
    EXPECT_TRUE(same_bits(logits_of(*load(GetParam(), threads).runner), want))
        << threads.cpu_threads << " and " << threads.cpu_batch_threads;
}

// A process that does nothing but take a CPU away, and ends with us at the latest.
pid_t start_busy_child() {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(120);
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}

TEST_P(Threads, FullLoadOfOthersGivesTheSameBits) {
  LoadedModel loaded = load(GetParam(), {2});
  const std::vector<float> want = logits_of(*loaded.runner);
  const pid_t busy[] = {start_busy_child(), start_busy_child()};
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(same_bits(logits_of(*loaded.runner), want)) << "run " << i;
  for (const pid_t child : busy) {
    ASSERT_GT(child, 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Threads,
                         testing::Values("strata-tiny.gguf", "strata-tiny-moe.gguf"),
                         [](const auto& tested) { return "model" + std::to_string(tested.index); });

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    (defined(__x86_64__) || defined(__aarch64__))

#ifdef __x86_64__
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

constexpr int kNoFilter = 2;
constexpr int kForbiddenCall = 3;

// Where the child notes the number of the first system call that it should not have made.
std::atomic<int>* forbidden_call = nullptr;

void note_call(int, siginfo_t* info, void*) {
  int none = -1;
  forbidden_call->compare_exchange_strong(none, info->si_syscall);
  _exit(kForbiddenCall);
}

// From here on all threads may call futex, and exit; the clock too, which is no system call where
// the machine's clock can be read without.
bool forbid_other_calls() {
  struct sigaction action{};
  action.sa_sigaction = note_call;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSYS, &action, nullptr);
  constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
  constexpr std::uint16_t kIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr std::uint16_t kReturn = BPF_RET | BPF_K;
  sock_filter rules[] = {
      {kLoad, 0, 0, offsetof(seccomp_data, arch)}, {kIfEqual, 0, 5, kArchitecture},
      {kLoad, 0, 0, offsetof(seccomp_data, nr)},   {kIfEqual, 4, 0, __NR_futex},
      {kIfEqual, 3, 0, __NR_exit_group},           {kIfEqual, 2, 0, __NR_clock_gettime},
      {kIfEqual, 1, 0, __NR_restart_syscall},      {kReturn, 0, 0, SECCOMP_RET_TRAP},
      {kReturn, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(rules)), rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

// A thread that is only about to start still has calls to make.
void meet(ThreadPool& pool) {
  std::atomic<int> begun{0};
  pool.run([&](int, int threads) {
    begun.fetch_add(1);
    while (begun.load() < threads) std::this_thread::yield();
  });
}

// In a child: decodes, and after a few steps is stopped at the first call that is not allowed.
[[noreturn]] void decode_under_filter(const char* name) {
  LoadedModel loaded = load(name, {2});
  PagePool& pool = loaded.runner->pool();
  const std::int32_t slot = pool.open();
  std::vector<BatchToken> batch(1);
  float largest = 0.0F;
  const Runner::LogitsSink sink = [&](std::size_t, std::span<const float> row) {
    largest = std::max(largest, row[0]);
  };
  for (std::int32_t i = 0; i < kWarmUpSteps + kCountedSteps; ++i) {
    if (i == kWarmUpSteps) {
      meet(static_cast<cpu::CpuDevice&>(*loaded.device).pool());
      if (!forbid_other_calls()) _exit(kNoFilter);
    }
    batch[0] = {i * 11 % 96, slot, i, true};
    pool.extend(slot, 1);
    loaded.runner->step(batch, sink);
  }
  _exit(0);
}

TEST_P(Threads, DecodingMakesNoSystemCallButToSleepAndWake) {
  void* shared = mmap(nullptr, sizeof(*forbidden_call), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  forbidden_call = new (shared) std::atomic<int>(-1);
  const pid_t child = fork();
  if (child == 0) decode_under_filter(GetParam());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const int call = forbidden_call->load();
  munmap(shared, sizeof(*forbidden_call));
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoFilter) GTEST_SKIP() << "SKIP: seccomp is not to be had here";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "system call " << call;
}

#endif

}  // namespace
}  // namespace strata::test

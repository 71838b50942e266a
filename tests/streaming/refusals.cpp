#include "tests/streaming/refusals.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <iterator>
#include <thread>

namespace strata::test {
namespace {

bool install(const Refusal& refusal) {
  const auto low_half =
      static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * refusal.argument);
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(refusal.call), 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low_half),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, refusal.mask),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal.value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K,
               SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(refusal.error) & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

}  // namespace

bool with_refusal(const Refusal& refusal, const std::function<void()>& body) {
  bool installed = false;
  std::thread([&] {
    installed = install(refusal);
    if (installed) body();
  }).join();
  return installed;
}

}  // namespace strata::test

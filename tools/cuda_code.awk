# Reads what `cuobjdump -sass` shows of an object, and prints a line per kernel: architecture, name, whether it waits
# for the kernel in front, prefetches and loads before it does, and of the loop with most integer dot products
# its instructions and those products.

function hex(text,    i, value) {
  value = 0
  for (i = 1; i <= length(text); ++i)
    value = 16 * value + index("0123456789abcdef", substr(text, i, 1)) - 1
  return value
}

function finish(    i, at, count, products) {
  if (name == "") return
  best = 0
  most = 0
  for (i = 1; i <= jumps; ++i) {
    count = 0
    products = 0
    for (at = target[i]; at <= jump[i]; at += 16) {
      ++count
      products += (at in product)
    }
    if (products > most || (products == most && most > 0 && count < best)) {
      most = products
      best = count
    }
  }
  print architecture, name, waits, prefetches, loads, best, most
  name = ""
}

/code for sm_/ { finish(); architecture = $3 }

/Function : / {
  finish()
  name = $3
  waits = prefetches = loads = jumps = 0
  split("", product)
}

# "/*0050*/  @P0 BRA 0xc30 ;  /* ... */": an instruction takes 16 bytes.
/^ +\/\*[0-9a-f]+\*\/ .*;/ {
  at = hex(substr($1, 3, length($1) - 4))
  if (/ IDP\.4A/) product[at] = 1
  if (/ ACQBULK/) waits = 1
  if (!waits && / CCTL\.[A-Z.]*PF2/) ++prefetches
  if (!waits && / LDG/) ++loads
  if (match($0, / BRA[^;]* 0x[0-9a-f]+/)) {
    text = substr($0, RSTART, RLENGTH)
    sub(/.* 0x/, "", text)
    if (hex(text) < at) {
      jump[++jumps] = at
      target[jumps] = hex(text)
    }
  }
}

END { finish() }

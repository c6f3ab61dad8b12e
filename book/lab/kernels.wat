;; The lab's inner loops. Four single-precision numbers at a time (SIMD). engine.js does the same in
;; plain JavaScript: `PlainKernels`.
;;
;; Memory: at 0 a generator's state (4 × i32), at 16 that of four generators side by side (4 × i32x4),
;; at 128 two tables of 256 pairs (INSIDE: i32, WIDTH: f32), at 4224 room for 4 rows of 512 numbers,
;; from 12416 on the arrays. All pointers and strides are in bytes.
(module
  ;; A normal number where the bits fell into layer i with j, but not surely under the curve.
  (import "engine" "outside" (func $outside (param i32 i32) (result f32)))
  (memory (export "memory") 1)

  ;; What bits stand for, where it is not what has been written: not surely under the curve.
  (func $settle (param $out i32) (param $table i32) (param $bits i32)
    (local $i i32) (local $j i32)
    (local.set $i (i32.and (local.get $bits) (i32.const 255)))
    (local.set $j (i32.shr_s (local.get $bits) (i32.const 8)))
    (if (i32.ge_s
          (select (local.get $j) (i32.sub (i32.const 0) (local.get $j))
            (i32.ge_s (local.get $j) (i32.const 0)))
          (i32.load (i32.add (local.get $table) (i32.shl (local.get $i) (i32.const 3)))))
      (then (f32.store (local.get $out) (call $outside (local.get $i) (local.get $j))))))

  ;; n numbers, rounded up to a multiple of 4: xoshiro128++ in four lanes, and the ziggurat.
  (func (export "numbers") (param $out i32) (param $n i32) (param $table i32)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128) (local $bits v128)
    (local $t v128) (local $i v128) (local $a v128) (local $b v128) (local $end i32)
    (local.set $s0 (v128.load offset=16 (i32.const 0)))
    (local.set $s1 (v128.load offset=32 (i32.const 0)))
    (local.set $s2 (v128.load offset=48 (i32.const 0)))
    (local.set $s3 (v128.load offset=64 (i32.const 0)))
    (local.set $end (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 2))))
    (loop $again
      (local.set $t (i32x4.add (local.get $s0) (local.get $s3)))
      (local.set $bits (i32x4.add (local.get $s0) (v128.or
        (i32x4.shl (local.get $t) (i32.const 7)) (i32x4.shr_u (local.get $t) (i32.const 25)))))
      (local.set $t (i32x4.shl (local.get $s1) (i32.const 9)))
      (local.set $s2 (v128.xor (local.get $s2) (local.get $s0)))
      (local.set $s3 (v128.xor (local.get $s3) (local.get $s1)))
      (local.set $s1 (v128.xor (local.get $s1) (local.get $s2)))
      (local.set $s0 (v128.xor (local.get $s0) (local.get $s3)))
      (local.set $s2 (v128.xor (local.get $s2) (local.get $t)))
      (local.set $s3 (v128.or
        (i32x4.shl (local.get $s3) (i32.const 11)) (i32x4.shr_u (local.get $s3) (i32.const 21))))
      (local.set $i (i32x4.add (i32x4.splat (local.get $table)) (i32x4.shl
        (v128.and (local.get $bits) (v128.const i32x4 255 255 255 255)) (i32.const 3))))
      (local.set $t (i32x4.shr_s (local.get $bits) (i32.const 8)))
      (local.set $a (v128.load64_lane 1 (i32x4.extract_lane 1 (local.get $i))
        (v128.load64_zero (i32x4.extract_lane 0 (local.get $i)))))
      (local.set $b (v128.load64_lane 1 (i32x4.extract_lane 3 (local.get $i))
        (v128.load64_zero (i32x4.extract_lane 2 (local.get $i)))))
      (v128.store (local.get $out) (f32x4.mul (f32x4.convert_i32x4_s (local.get $t))
        (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $a) (local.get $b))))
      (if (v128.any_true (i32x4.ge_s (i32x4.abs (local.get $t))
            (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $a) (local.get $b))))
        (then
          (call $settle (local.get $out) (local.get $table) (i32x4.extract_lane 0 (local.get $bits)))
          (call $settle (i32.add (local.get $out) (i32.const 4)) (local.get $table)
            (i32x4.extract_lane 1 (local.get $bits)))
          (call $settle (i32.add (local.get $out) (i32.const 8)) (local.get $table)
            (i32x4.extract_lane 2 (local.get $bits)))
          (call $settle (i32.add (local.get $out) (i32.const 12)) (local.get $table)
            (i32x4.extract_lane 3 (local.get $bits)))))
      (br_if $again (i32.lt_u
        (local.tee $out (i32.add (local.get $out) (i32.const 16))) (local.get $end))))
    (v128.store offset=16 (i32.const 0) (local.get $s0))
    (v128.store offset=32 (i32.const 0) (local.get $s1))
    (v128.store offset=48 (i32.const 0) (local.get $s2))
    (v128.store offset=64 (i32.const 0) (local.get $s3)))

  ;; z[r][b] = Σ_k w[r * row + k * column] a[k][b]: tiles of 4 rows, which are copied
  ;; side by side first, and 8 examples.
  (func (export "product")
    (param $w i32) (param $row i32) (param $column i32) (param $a i32) (param $z i32)
    (param $rows i32) (param $terms i32) (param $batch i32)
    (local $b i32) (local $end i32) (local $p i32) (local $q i32) (local $o i32) (local $wide i32)
    (local $x v128) (local $y v128) (local $w0 v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local $t0 v128) (local $t1 v128) (local $t2 v128) (local $t3 v128)
    (local $row2 i32) (local $row3 i32)
    (local.set $wide (i32.shl (local.get $batch) (i32.const 2)))
    (local.set $row2 (i32.shl (local.get $row) (i32.const 1)))
    (local.set $row3 (i32.add (local.get $row2) (local.get $row)))
    (block $finished (loop $tile
      (br_if $finished (i32.le_s (local.get $rows) (i32.const 0)))
      (local.set $p (local.get $w))
      (local.set $o (i32.const 4224))
      (local.set $end (i32.add (local.get $o) (i32.shl (local.get $terms) (i32.const 4))))
      (loop $copy
        (v128.store (local.get $o)
          (v128.load32_lane 3 (i32.add (local.get $p) (local.get $row3))
            (v128.load32_lane 2 (i32.add (local.get $p) (local.get $row2))
              (v128.load32_lane 1 (i32.add (local.get $p) (local.get $row))
                (v128.load32_zero (local.get $p))))))
        (local.set $p (i32.add (local.get $p) (local.get $column)))
        (br_if $copy (i32.lt_u
          (local.tee $o (i32.add (local.get $o) (i32.const 16))) (local.get $end))))
      (local.set $b (i32.const 0))
      (loop $columns
        (local.set $s0 (v128.const i32x4 0 0 0 0)) (local.set $s1 (v128.const i32x4 0 0 0 0))
        (local.set $s2 (v128.const i32x4 0 0 0 0)) (local.set $s3 (v128.const i32x4 0 0 0 0))
        (local.set $t0 (v128.const i32x4 0 0 0 0)) (local.set $t1 (v128.const i32x4 0 0 0 0))
        (local.set $t2 (v128.const i32x4 0 0 0 0)) (local.set $t3 (v128.const i32x4 0 0 0 0))
        (local.set $p (i32.const 4224))
        (local.set $q (i32.add (local.get $a) (local.get $b)))
        (loop $sum
          (local.set $x (v128.load (local.get $q)))
          (local.set $y (v128.load offset=16 (local.get $q)))
          (local.set $w0 (v128.load32_splat (local.get $p)))
          (local.set $s0 (f32x4.add (local.get $s0) (f32x4.mul (local.get $w0) (local.get $x))))
          (local.set $t0 (f32x4.add (local.get $t0) (f32x4.mul (local.get $w0) (local.get $y))))
          (local.set $w0 (v128.load32_splat offset=4 (local.get $p)))
          (local.set $s1 (f32x4.add (local.get $s1) (f32x4.mul (local.get $w0) (local.get $x))))
          (local.set $t1 (f32x4.add (local.get $t1) (f32x4.mul (local.get $w0) (local.get $y))))
          (local.set $w0 (v128.load32_splat offset=8 (local.get $p)))
          (local.set $s2 (f32x4.add (local.get $s2) (f32x4.mul (local.get $w0) (local.get $x))))
          (local.set $t2 (f32x4.add (local.get $t2) (f32x4.mul (local.get $w0) (local.get $y))))
          (local.set $w0 (v128.load32_splat offset=12 (local.get $p)))
          (local.set $s3 (f32x4.add (local.get $s3) (f32x4.mul (local.get $w0) (local.get $x))))
          (local.set $t3 (f32x4.add (local.get $t3) (f32x4.mul (local.get $w0) (local.get $y))))
          (local.set $q (i32.add (local.get $q) (local.get $wide)))
          (br_if $sum (i32.lt_u
            (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $end))))
        (local.set $o (i32.add (local.get $z) (local.get $b)))
        (v128.store (local.get $o) (local.get $s0))
        (v128.store offset=16 (local.get $o) (local.get $t0))
        (local.set $o (i32.add (local.get $o) (local.get $wide)))
        (v128.store (local.get $o) (local.get $s1))
        (v128.store offset=16 (local.get $o) (local.get $t1))
        (local.set $o (i32.add (local.get $o) (local.get $wide)))
        (v128.store (local.get $o) (local.get $s2))
        (v128.store offset=16 (local.get $o) (local.get $t2))
        (local.set $o (i32.add (local.get $o) (local.get $wide)))
        (v128.store (local.get $o) (local.get $s3))
        (v128.store offset=16 (local.get $o) (local.get $t3))
        (br_if $columns
          (i32.lt_u (local.tee $b (i32.add (local.get $b) (i32.const 32))) (local.get $wide))))
      (local.set $w (i32.add (local.get $w) (i32.shl (local.get $row) (i32.const 2))))
      (local.set $z (i32.add (local.get $z) (i32.shl (local.get $wide) (i32.const 2))))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 4)))
      (br $tile))))

  ;; Reflect 16 examples (panel[k][16]) by all vectors: a -= factor v (vᵀ a), the last vector first, or
  ;; `backwards` the first. One pass subtracts by one vector and sums up for the next.
  (func (export "reflect")
    (param $v i32) (param $factors i32) (param $panel i32) (param $n i32) (param $backwards i32)
    (local $r i32) (local $next i32) (local $start i32) (local $left i32) (local $count i32)
    (local $here i32) (local $there i32) (local $x i32) (local $y i32) (local $p i32)
    (local $f v128) (local $g v128)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128)
    (local $d0 v128) (local $d1 v128) (local $d2 v128) (local $d3 v128)
    (local.set $left (local.get $n))
    ;; `here` points to the first number of v_r; the first pass, with c = 0, only sums up
    (if (local.get $backwards)
      (then
        (local.set $here (i32.add (local.get $v) (i32.const 4))))
      (else
        (local.set $r (i32.sub (local.get $n) (i32.const 1)))
        (local.set $here (i32.add (local.get $v) (i32.shl (i32.sub (i32.shr_u (i32.mul
          (local.get $n) (i32.add (local.get $n) (i32.const 3))) (i32.const 1)) (i32.const 1))
          (i32.const 2))))))
    (local.set $next (local.get $r))
    (local.set $there (local.get $here))
    (loop $vector
      (local.set $start (select (local.get $r) (local.get $next)
        (i32.lt_s (local.get $r) (local.get $next))))
      (local.set $x (i32.sub (local.get $here)
        (i32.shl (i32.sub (local.get $r) (local.get $start)) (i32.const 2))))
      (local.set $y (i32.sub (local.get $there)
        (i32.shl (i32.sub (local.get $next) (local.get $start)) (i32.const 2))))
      (local.set $p (i32.add (local.get $panel) (i32.shl (local.get $start) (i32.const 6))))
      (local.set $count (i32.sub (local.get $n) (local.get $start)))
      (local.set $d0 (v128.const i32x4 0 0 0 0)) (local.set $d1 (v128.const i32x4 0 0 0 0))
      (local.set $d2 (v128.const i32x4 0 0 0 0)) (local.set $d3 (v128.const i32x4 0 0 0 0))
      (loop $unit
        (local.set $f (v128.load32_splat (local.get $x)))
        (local.set $g (v128.load32_splat (local.get $y)))
        (local.set $a0 (f32x4.sub (v128.load (local.get $p))
          (f32x4.mul (local.get $f) (local.get $c0))))
        (local.set $a1 (f32x4.sub (v128.load offset=16 (local.get $p))
          (f32x4.mul (local.get $f) (local.get $c1))))
        (local.set $a2 (f32x4.sub (v128.load offset=32 (local.get $p))
          (f32x4.mul (local.get $f) (local.get $c2))))
        (local.set $a3 (f32x4.sub (v128.load offset=48 (local.get $p))
          (f32x4.mul (local.get $f) (local.get $c3))))
        (v128.store (local.get $p) (local.get $a0))
        (v128.store offset=16 (local.get $p) (local.get $a1))
        (v128.store offset=32 (local.get $p) (local.get $a2))
        (v128.store offset=48 (local.get $p) (local.get $a3))
        (local.set $d0 (f32x4.add (local.get $d0) (f32x4.mul (local.get $g) (local.get $a0))))
        (local.set $d1 (f32x4.add (local.get $d1) (f32x4.mul (local.get $g) (local.get $a1))))
        (local.set $d2 (f32x4.add (local.get $d2) (f32x4.mul (local.get $g) (local.get $a2))))
        (local.set $d3 (f32x4.add (local.get $d3) (f32x4.mul (local.get $g) (local.get $a3))))
        (local.set $x (i32.add (local.get $x) (i32.const 4)))
        (local.set $y (i32.add (local.get $y) (i32.const 4)))
        (local.set $p (i32.add (local.get $p) (i32.const 64)))
        (br_if $unit (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
      (local.set $f (v128.load32_splat
        (i32.add (local.get $factors) (i32.shl (local.get $next) (i32.const 2)))))
      (local.set $c0 (f32x4.mul (local.get $f) (local.get $d0)))
      (local.set $c1 (f32x4.mul (local.get $f) (local.get $d1)))
      (local.set $c2 (f32x4.mul (local.get $f) (local.get $d2)))
      (local.set $c3 (f32x4.mul (local.get $f) (local.get $d3)))
      (local.set $r (local.get $next))
      (local.set $here (local.get $there))
      ;; the last vector has no next: what it sums up is not used
      (if (i32.gt_s (local.get $left) (i32.const 1))
        (then
          (if (local.get $backwards)
            (then
              (local.set $there (i32.add (local.get $there) (i32.shl (i32.add (i32.sub
                (local.get $n) (local.get $r)) (i32.const 1)) (i32.const 2))))
              (local.set $next (i32.add (local.get $r) (i32.const 1))))
            (else
              (local.set $next (i32.sub (local.get $r) (i32.const 1)))
              (local.set $there (i32.sub (local.get $there) (i32.shl (i32.add (i32.sub
                (local.get $n) (local.get $next)) (i32.const 1)) (i32.const 2))))))))
      (br_if $vector
        (i32.ge_s (local.tee $left (i32.sub (local.get $left) (i32.const 1))) (i32.const 0))))))

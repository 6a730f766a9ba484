(@custom "x" (after func)) (memory $m 1 2) (memory i64 1) (data $d (memory $m) (offset i32.const 0) "a\u{1F600}\n") (elem $e funcref (item ref.func 0) (ref.null func))
(func (export "a") (export "b") (param i32) (result i32) (local i64) local.get 0 if $x (result i32) i32.const -0x7f_ff else $x i32.const 4294967295 end $x
 loop br_if 0 end br_table 0 0 (; c ;) i32.load8_s offset=4 align=1 ;; x
 memory.init $d memory.copy 0 0 table.init 0 $e select (result i32) call_indirect 0 (type 0) return_call 0)

"""The one builder of networks that are read: every reader of a framework or a file holds handlers of operators only.

The contract of the seam between the builder and a reader. A reader

1. puts each input with `Builder.input`: its dims in the source, which axis of them is the batch;
2. turns every operator into calls of the builder's verbs on `Value`: layers with `Builder.add`, reshapes, permutations
   and slices with `moves`, convolutions and their kin on what `maps` lays out, matrix products with `products`,
   concatenation and padding with `joining`, reductions with `reductions`; it never places a `Reshape` or `Permute`
   itself, so that positions are followed through all of them;
3. raises `NotUnderstood` with the reason where an operator has no translation; `Builder.not_understood` then puts an
   `Unknown` that reads all that the operator read, and every input where that is not known: nothing that is not
   understood depends on nothing;
4. tells which parameters a node holds with `shares` and `own`;
5. lets `naming` name the nodes by the modules that they came from.

Imports no framework.
"""

"""Pseudo-fakes: fakes with known masks, made from real clips alone.

Two methods, each leaves traces that face swaps leave too:

- `warp`: the aligned face at a low resolution, blurred and warped back, as the small picture of a generator is (face
  warping artefacts, Li & Lyu 2018, "Exposing DeepFake Videos By Detecting Face Warping Artifacts")
- `self_blend`: a transformed copy of the face blended with the face itself (self-blended images, Shiohara & Yamasaki
  2022, "Detecting Deepfakes with Self-Blended Images")

The data's way: `settings` say what is asked, `draws` draws it for a clip's frames, `face_space` finds the face from
five landmarks, `masks` says where, `warping` and `self_blending` make what is put in, `blending` puts it in: pure
functions. `casting` says which real clip gets which fake; `partners` makes them of face-only videos, for `dfd train`,
and `corpus` of whole clips, for `dfd pseudo-fakes`.

A detector's figure on pseudo-fakes says nothing of real fakes: corpora that have them are named `<corpus>+pseudo`.
"""

"""Sound from a sentence: published text-to-audio models behind one protocol.

Takes a `request.SoundRequest`; gives waveforms. `catalogue` knows the models and their licences, `weights` fetches them, `places` chooses
where they run, `opening` joins these, and there is one file for each family: `musicgen`, `audioldm2`, `stable_audio`, `lumina`. What
families share is in `parts` (reading), `drawing` and `libraries`. Torch and the extra ``audio`` are needed from `opening.open_model` on;
the catalogue and requests need neither. These models make sound, not notes: notes are written by `kapelle.composing`.
"""

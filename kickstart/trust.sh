# %post, when the recipe has certificate authorities: their files are in place.

trust_authorities() {
    at 'adding certificate authorities to those that the system trusts'
    update-ca-trust extract
}

# Part of the script of a Debian tree's settings, when its recipe has certificate authorities: their files are in place.

trust_authorities() {
    at "adding certificate authorities to those that the system trusts"
    run update-ca-certificates
}

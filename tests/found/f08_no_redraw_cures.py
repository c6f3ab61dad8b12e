from common import *
# (a) SIREN whose frequency was left out: "no redraw cures this", a redraw does
def f(ws,x):
    h=jnp.sin(.05*(x@ws[0]))
    for W in ws[1:-1]: h=jnp.sin(30*(h@W))
    return h@ws[-1]
u=lambda *s,c: jnp.asarray(R.uniform(-c,c,s),jnp.float32); c=np.sqrt(6/128)/30
x=u(64,2,c=1.); y=jnp.asarray(R.normal(size=(64,3))*.5,jnp.float32)
p=[u(2,128,c=.5)]+[u(128,128,c=c/30) for _ in range(3)]+[u(128,3,c=c)]
print(winit.jax.audit(f,p,x,y,mse)); q=winit.jax.reinitialize(f,p,x,rng=0); print("reinit:",winit.jax.audit(f,q,x,y,mse))
good=[p[0]*20*30]+[W*30 for W in p[1:-1]]+[p[-1]]; print("same draws, scaled:",str(winit.jax.audit(f,good,x,y,mse)).splitlines()[0])

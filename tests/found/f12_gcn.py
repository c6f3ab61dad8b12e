from common import *
A=(R.random((32,32))<.5).astype('f'); A=np.maximum(A,A.T); np.fill_diagonal(A,1); A=jnp.asarray(A); x,y=x[:32],y[:32]
def f(p,x):
    h=x
    for W in p[:-1]: h=relu(A@(h@W))
    return h@p[-1]
p=[N(16,32,g=2**.5)]+[N(32,32,g=2**.5) for _ in range(4)]+[N(32,1,g=.1)]
print("loss",float(mse(f(p,x),y)),str(winit.jax.audit(f,p,x,y,mse)).splitlines()[-2]); q=winit.jax.reinitialize(f,p,x,rng=0); print("reinit loss",float(mse(f(q,x),y)))
s=[p[0]/16]+[W/16 for W in p[1:-1]]+[p[-1]]; print("redraw 16x smaller:",str(winit.jax.audit(f,s,x,y,mse)))
